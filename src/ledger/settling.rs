//! What a decision on a bill becomes: postings, facts and rows of lists, of a settlement or of a hold.

use std::sync::Arc;

use super::case::Loaded;
use super::failure::Failure;
use super::payers::{close_books, count_slips, payer_accounts, payer_quotas};
use super::quote::Quoted;
use super::reading::{Reading, Standings};
use super::settle::{Ask, Paper, SettleOutcome};
use super::{Fresh, Ledger, Plan, list_of};
use crate::domain::draw::Contribution;
use crate::domain::ids::{MemberId, SettlementId};
use crate::domain::reason::Reason;
use crate::domain::record::{Event, Record, Settled};
use crate::domain::settlement::books::Books;
use crate::domain::settlement::hold::{self, Hold, HoldState, Mark};
use crate::domain::settlement::{self, Decision, Settlement};
use crate::domain::split::year_deductible;
use crate::domain::time::{Moment, day_number};
use crate::domain::year_use::YearUse;
use crate::store::encoded::Encoded;
use crate::store::entity::{Basis, PaperFact};
use crate::store::{Entity, Key, ListKey, ListKind, chain};

/// A bill to be settled, or to be held until an instant.
pub(super) struct Settling<'a> {
    pub ask: &'a Ask,
    pub token: &'a str,
    pub hold_until: Option<Moment>,
}

impl Settling<'_> {
    pub async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<SettleOutcome>, Failure> {
        let ask = self.ask;
        let today = now.civil_day();
        ledger.check_day("visit.visit_date", ask.visit.date, today)?;
        ledger.check_care_region(&ask.visit)?;
        let (patient, on_paper) = ledger.load_case(reading, &ask.patient, &ask.papers, ask.visit.date).await?;
        if let Some(expires) = self.hold_until {
            // A hold that has run out before it is true would be none.
            reading.expect_before(expires);
        }
        let loaded = ledger.assemble(reading, patient, &ask.papers, &on_paper, ask.visit.date, today)?;
        let decision = settlement::decide(&loaded.case(ledger, &ask.visit, &ask.bill, today));
        ledger.check_grades(&decision.trace, &loaded.policies, ask.visit.date)?;
        if !self.token.is_empty() {
            let token = Quoted::open(self.token, &ledger.keys)?;
            token.check(&decision, ledger.ask_digest(ask), now, &ledger.keys)?;
        }
        let plan = self.plan(ledger, reading, &loaded, &on_paper, decision, now, fresh)?;
        reading.happens_from(plan.outcome.settlement.created_at);
        Ok(plan)
    }

    #[allow(clippy::too_many_arguments, reason = "the facts, the decision and the names it gets")]
    fn plan(
        &self,
        ledger: &Ledger,
        reading: &Reading<'_>,
        loaded: &Loaded<'_, '_>,
        on_paper: &[MemberId],
        decision: Decision,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<SettleOutcome>, Failure> {
        let ask = self.ask;
        let today = now.civil_day();
        let id = SettlementId::from_u128(fresh.id);
        let patient = loaded.patient.id;
        let region = loaded.patient.insurance.region;
        let mut books = open_books(reading, loaded, &decision.contributions, now)?;
        // Not before the quotas that it draws on came into force, whoever's clock timed these.
        let drawn_at = books.quotas.iter().filter_map(|quota| quota.since).fold(now, Moment::max);
        let marks = match self.hold_until {
            None => {
                settlement::apply(&decision, &ask.institution, region, &mut books);
                Vec::new()
            }
            Some(expires) => hold::apply_hold(&decision, id, patient, expires, &mut books),
        };
        let slips = count_slips(reading, patient, &decision.contributions, today)?;
        let fund = decision.amounts.split.fund;
        let insurance = &loaded.patient.insurance;
        let year_deductible = year_deductible(&decision.amounts.split, &ask.visit, insurance, loaded.policies[0]);
        let policies: Vec<[u8; 32]> = loaded.policies.iter().map(|policy| policy.revision.digest).collect();
        let Decision { amounts, contributions, excluded, trace } = decision;
        let trace = Arc::new(ledger.tell(trace));
        let basis = Encoded::new(Basis {
            salt: fresh.salt,
            bill: ask.bill.clone(),
            payers: loaded.payer_facts(today),
            excluded: excluded.clone(),
            papers: paper_facts(&ask.papers, on_paper),
            used: loaded.used.to_vec(),
            trace: trace.clone(),
        });
        let settled = Box::new(Settled {
            id,
            institution: ask.institution.clone(),
            patient,
            region,
            amounts,
            contributions: contributions.clone(),
            policies: policies.clone(),
            basis_digest: chain::content_hash(basis.bytes()),
        });
        let settlement = Arc::new(Settlement {
            id,
            institution: ask.institution.clone(),
            patient,
            region,
            visit: ask.visit.clone(),
            amounts,
            contributions,
            excluded,
            policies,
            refunds: Vec::new(),
            created_at: drawn_at,
            hold: self.hold_until.map(|expires| Hold { expires, state: HoldState::Open }),
            reversed_by: String::new(),
            year_deductible,
        });
        let mut lists = lists(ledger, &settlement);
        let mut standings = Standings::new(reading);
        let mut puts = Vec::with_capacity(8);
        if !fund.is_zero() || !year_deductible.is_zero() {
            let standing = standings.of(patient)?;
            let of = settlement.use_of();
            let used = standing.year_use(of);
            let used = YearUse { deductible: used.deductible + year_deductible, fund: used.fund + fund };
            standing.set_year_use(of, used);
        }
        mark_all(ledger, marks, &mut standings)?;
        let postings = close_books(books, patient, &mut standings, &mut puts, &mut lists)?;
        puts.extend(standings.into_puts());
        puts.extend(slips.map(|slips| (Key::Slips(patient), Entity::Slips(Arc::new(slips)))));
        ledger.policy_puts(loaded.policies.iter().copied(), &mut puts);
        let names = loaded.names();
        let current_state = settlement.state();
        let outcome = SettleOutcome { settlement: settlement.clone(), trace, names, current_state };
        puts.push((Key::Settlement(id), Entity::Settlement(settlement)));
        puts.push((Key::Basis(id), Entity::Basis(Arc::new(basis))));
        let event = match self.hold_until {
            None => Event::Settled(settled),
            Some(expires) => {
                lists.push((holds_of(expires), id.as_u128()));
                Event::Held { settled, expires }
            }
        };
        Ok(Plan { record: Record { event, postings }, puts, lists, outcome })
    }
}

/// The books of those who will pay.
fn open_books(
    reading: &Reading<'_>,
    loaded: &Loaded<'_, '_>,
    contributions: &[Contribution],
    now: Moment,
) -> Result<Books, Failure> {
    let today = now.civil_day();
    let mut postings = Vec::with_capacity(8);
    let quotas = payer_quotas(reading, contributions, today, &mut postings);
    let by_account = |paid: &&Contribution| quotas.iter().all(|quota| Some(quota.binding) != paid.binding);
    let accounts = payer_accounts(reading, contributions.iter().filter(by_account), today, &mut postings)?;
    let (family, aid) = (loaded.family.clone(), loaded.aid_of(contributions));
    Ok(Books { today, accounts, quotas, family, aid, postings })
}

/// Leaves a hold's marks with its people, as many as each may carry.
fn mark_all(ledger: &Ledger, marks: Vec<(MemberId, Mark)>, standings: &mut Standings<'_>) -> Result<(), Failure> {
    for (member, mark) in marks {
        let holds = &mut standings.of(member)?.holds;
        if holds.len() >= ledger.limits.holds_per_member as usize {
            return Err(Failure::refused(Reason::HoldsPerMemberExceeded));
        }
        holds.push(mark);
    }
    Ok(())
}

/// The list of the holds that run out on the same day.
pub(super) fn holds_of(expires: Moment) -> ListKey {
    let number = u128::try_from(day_number(expires.civil_day())).unwrap_or_default();
    list_of(ListKind::HoldsOfDay, number)
}

/// The outcome of a settlement or hold as its own request was answered.
pub(super) async fn settled_outcome(reading: &mut Reading<'_>, settled: Settled) -> Result<SettleOutcome, Failure> {
    let (key, basis) = (Key::Settlement(settled.id), Key::Basis(settled.id));
    reading.get(&[key, basis]).await?;
    let settlement = reading.settlement(&key)?.ok_or(Failure::Bug("a settled record has no settlement"))?;
    let trace = reading.basis(&basis)?.map(|basis| basis.trace.clone()).unwrap_or_default();
    Ok(SettleOutcome {
        settlement: Arc::new(settlement.as_decided(settled.amounts, settled.contributions)),
        trace,
        names: Vec::new(),
        current_state: settlement.state(),
    })
}

fn paper_facts(papers: &[Paper], owners: &[MemberId]) -> Vec<PaperFact> {
    let fact = |(paper, owner): (&Paper, &MemberId)| PaperFact {
        owner: *owner,
        user_card: String::new(),
        phone: String::new(),
        signature_ref: paper.signature_ref.clone(),
    };
    papers.iter().zip(owners).map(fact).collect()
}

/// The lists a settlement stands in. An account's entries serve as its owner's settlements too: the row of a relative who
/// pays leads to the settlement, the rows of other movements lead nowhere.
fn lists(ledger: &Ledger, settlement: &Settlement) -> Vec<(ListKey, u128)> {
    let subject = settlement.id.as_u128();
    let institution =
        ListKey { kind: ListKind::InstitutionSettlements, of: ledger.keys.institution(&settlement.institution) };
    let mut lists = Vec::with_capacity(12);
    lists.push((institution, subject));
    lists.push((list_of(ListKind::PatientSettlements, settlement.patient.as_u128()), subject));
    let mut add = |key: ListKey, subject: u128| {
        if lists.iter().all(|(known, _)| *known != key) {
            lists.push((key, subject));
        }
    };
    for contribution in &settlement.contributions {
        let leads_to = if contribution.is_own() { 0 } else { subject };
        add(list_of(ListKind::AccountEntries, contribution.payer.as_u128()), leads_to);
    }
    let refs = &settlement.visit.external;
    let named = [
        ("mdtrt_id", &refs.mdtrt_id),
        ("medins_setl_id", &refs.medins_setl_id),
        ("msgid", &refs.msgid),
        ("invoice_no", &refs.invoice_no),
    ];
    for (kind, text) in named {
        if !text.is_empty() {
            let of = ledger.keys.external(&settlement.institution, kind, text);
            add(ListKey { kind: ListKind::ExternalReference, of }, subject);
        }
    }
    lists
}
