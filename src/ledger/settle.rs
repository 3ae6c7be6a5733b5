//! Quote and settle: the same facts, the same decision; only the second commits it.

use std::sync::Arc;

use jiff::civil::Date;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::quote::Quoted;
use super::reading::Reading;
use super::{Command, Fresh, Ledger, Plan, list_of};
use crate::domain::account::Account;
use crate::domain::bill::{Bill, BillContent, Visit};
use crate::domain::binding::{Caps, Family, Tie};
use crate::domain::draw::{Contribution, Owner, Patient};
use crate::domain::ids::{BindingId, InstitutionCode, MemberId, RequestId, SettlementId};
use crate::domain::member::{Member, MemberRef};
use crate::domain::money::Money;
use crate::domain::policy::Policy;
use crate::domain::posting::Posting;
use crate::domain::record::{Event, Record, Settled};
use crate::domain::rule::Trace;
use crate::domain::settlement::{self, Case, Decision, Settlement, SettlementState};
use crate::domain::split::YearUse;
use crate::domain::time::Moment;
use crate::domain::vocabulary::Relation;
use crate::store::codec::Stored;
use crate::store::entity::{Basis, PaperFact, PayerFact};
use crate::store::{Entity, Key, ListKey, ListKind, chain};

/// What a quote and a settlement ask about.
#[derive(Clone, Debug)]
pub struct Ask {
    pub institution: InstitutionCode,
    pub patient: MemberRef,
    pub visit: Visit,
    pub bill: Bill,
    pub papers: Vec<Paper>,
}

/// 纸面授权: a relative without a binding, named on the back of the prescription.
#[derive(Clone, Debug)]
pub struct Paper {
    pub owner: MemberRef,
    pub user_card: String,
    pub relation: Relation,
    pub phone: String,
    pub signature_ref: String,
}

/// `Settle`.
#[derive(Clone, Debug)]
pub struct Settle {
    pub request_id: RequestId,
    pub ask: Ask,
    pub token: Option<Quoted>,
}

/// A settlement with why it came out so.
#[derive(Clone, Debug)]
pub struct SettleOutcome {
    pub settlement: Settlement,
    pub trace: Trace,
    /// Its state now; differs from the settlement's own when it was refunded since.
    pub current_state: SettlementState,
}

/// A quote: a decision, and the position it was read at.
#[derive(Clone, Debug)]
pub struct Quote {
    pub decision: Decision,
    pub patient: MemberId,
    pub policies: Vec<Arc<Policy>>,
    pub read_at: u64,
    pub token: Quoted,
}

/// The facts of a case, borrowed from a reading.
pub struct Loaded<'r> {
    pub patient: &'r Member,
    pub account: Option<Account>,
    pub used: YearUse,
    pub family: &'r Family,
    pub policies: Vec<Arc<Policy>>,
    owners: Vec<LoadedOwner<'r>>,
}

struct LoadedOwner<'r> {
    tie: Tie,
    paper: Option<u16>,
    member: &'r Member,
    account: Option<Account>,
    policy_index: u8,
}

static NO_FAMILY: Family = Family { ties: Vec::new() };

impl Loaded<'_> {
    pub fn case<'a>(&'a self, ledger: &'a Ledger, visit: &'a Visit, bill: &'a Bill, today: Date) -> Case<'a> {
        let owners = self.owners.iter().map(|owner| Owner {
            tie: &owner.tie,
            paper: owner.paper,
            member: owner.member,
            account: owner.account.as_ref(),
            policy: &self.policies[usize::from(owner.policy_index)],
            policy_index: owner.policy_index,
        });
        Case {
            today,
            visit,
            bill,
            patient: Patient { member: self.patient, account: self.account.as_ref() },
            policy: &self.policies[0],
            used: self.used,
            owners: owners.collect(),
            regions: &ledger.book.regions,
        }
    }

    fn payer_facts(&self, today: Date) -> Vec<PayerFact> {
        let own = self.account.as_ref().map(|account| (account, None));
        let owners = self.owners.iter().filter_map(|owner| Some((owner.account.as_ref()?, owner.tie.cap_left(today))));
        let fact = |(account, cap_left): (&Account, Option<Money>)| PayerFact {
            member: account.member,
            current: account.current,
            prior: account.prior,
            cap_left,
        };
        own.into_iter().chain(owners).map(fact).collect()
    }
}

impl Ledger {
    /// The member a reference leads to.
    pub async fn resolve(&self, reading: &mut Reading<'_>, reference: &MemberRef) -> Result<MemberId, Failure> {
        let not_found = Failure::NotFound(super::failure::Thing::Member);
        let MemberRef::Id(id) = reference else {
            let key = Key::Reference(self.keys.reference(reference));
            reading.get(&[key]).await?;
            return reading.reference(&key)?.copied().ok_or(not_found);
        };
        reading.get(&[Key::Member(*id)]).await?;
        reading.member(&Key::Member(*id))?.map(|_| *id).ok_or(not_found)
    }

    /// Loads what a case needs: patient, then family, then the accounts of everybody in it.
    pub async fn load_case(
        &self,
        reading: &mut Reading<'_>,
        patient: &MemberRef,
        papers: &[Paper],
        visit_day: Date,
    ) -> Result<(MemberId, Vec<MemberId>), Failure> {
        let patient = self.resolve(reading, patient).await?;
        let year_use = Key::YearUse(patient, visit_day.year());
        reading.get(&[Key::Member(patient), Key::Account(patient), Key::Family(patient), year_use]).await?;
        let mut on_paper = Vec::with_capacity(papers.len());
        for paper in papers {
            on_paper.push(self.resolve(reading, &paper.owner).await?);
        }
        let family = reading.family(&Key::Family(patient))?.unwrap_or(&NO_FAMILY);
        let owners = family.ties.iter().map(|tie| tie.owner).chain(on_paper.iter().copied());
        let keys: Vec<Key> = owners.flat_map(|owner| [Key::Member(owner), Key::Account(owner)]).collect();
        reading.get(&keys).await?;
        Ok((patient, on_paper))
    }

    /// Puts the loaded facts together, with the policies of the visit's day.
    pub fn assemble<'r>(
        &self,
        reading: &'r Reading<'_>,
        patient: MemberId,
        papers: &[Paper],
        on_paper: &[MemberId],
        visit_day: Date,
        today: Date,
    ) -> Result<Loaded<'r>, Failure> {
        let member = reading.member(&Key::Member(patient))?.ok_or(Failure::NotFound(super::failure::Thing::Member))?;
        let family = reading.family(&Key::Family(patient))?.unwrap_or(&NO_FAMILY);
        let account = reading.account(&Key::Account(patient))?.map(|account| account.as_of(today));
        let used = reading.year_use(&Key::YearUse(patient, visit_day.year()))?.copied().unwrap_or_default();
        let mut policies = vec![self.policy_of(member, visit_day)?];
        let mut owners = Vec::with_capacity(family.ties.len() + papers.len());
        let ties = family.ties.iter().map(|tie| (tie.clone(), None));
        // Nobody pays twice: a binding goes before paper, and the first paper before the next.
        let bound = |owner: &MemberId| family.ties.iter().any(|tie| tie.owner == *owner);
        let named = papers.iter().zip(on_paper).enumerate();
        let once = named.filter(|(place, (_, owner))| !bound(owner) && !on_paper[..*place].contains(owner));
        let on_paper = once.map(|(place, (paper, owner))| {
            let place = u16::try_from(place).unwrap_or(u16::MAX);
            (paper_tie(*owner, paper.relation, place, today), Some(place))
        });
        for (tie, paper) in ties.chain(on_paper) {
            let key = Key::Member(tie.owner);
            let member = reading.member(&key)?.ok_or(Failure::Bug("a tie leads to no member"))?;
            let policy = self.policy_of(member, visit_day)?;
            let known = policies.iter().position(|known| known.revision.digest == policy.revision.digest);
            let index = known.unwrap_or_else(|| {
                policies.push(policy);
                policies.len() - 1
            });
            let account = reading.account(&Key::Account(tie.owner))?.map(|account| account.as_of(today));
            owners.push(LoadedOwner {
                tie,
                paper,
                member,
                account,
                policy_index: u8::try_from(index).unwrap_or(u8::MAX),
            });
        }
        Ok(Loaded { patient: member, account, used, family, policies, owners })
    }

    pub(crate) fn policy_of(&self, member: &Member, on: Date) -> Result<Arc<Policy>, Failure> {
        let policy = self.book.policy(member.insurance.region, on).cloned();
        policy.ok_or_else(|| Failure::invalid("visit.visit_date", "lies before the first recorded law"))
    }

    /// Refuses future days and days too long past.
    pub fn check_day(&self, field: &str, day: Date, today: Date) -> Result<(), Failure> {
        if day > today {
            return Err(Failure::invalid(field, "lies in the future"));
        }
        let age = today.since(day).map(|span| span.get_days()).unwrap_or(i32::MAX);
        if age > i32::try_from(self.limits.max_backdate_days).unwrap_or(i32::MAX) {
            return Err(Failure::invalid(field, "is older than max_backdate_days"));
        }
        Ok(())
    }

    /// `QuoteSettlement`: decides and changes nothing.
    pub async fn quote(&self, ask: &Ask) -> Result<Quote, Failure> {
        let now = self.now();
        let today = now.civil_day();
        self.check_day("visit.visit_date", ask.visit.date, today)?;
        let mut reading = Reading::new(self.store());
        let loaded = self.load_case(&mut reading, &ask.patient, &ask.papers, ask.visit.date).await;
        let (patient, on_paper) = match loaded {
            Ok(found) => found,
            Err(failure) => {
                self.store().wait_durable(reading.read_at()).await?;
                return Err(failure);
            }
        };
        let read_at = reading.read_at();
        let loaded = self.assemble(&reading, patient, &ask.papers, &on_paper, ask.visit.date, today)?;
        let decision = settlement::decide(&loaded.case(self, &ask.visit, &ask.bill, today));
        let token =
            Quoted::of(&decision, self.ask_digest(ask), now.plus_seconds(self.limits.quote_seconds), &self.keys);
        let policies = loaded.policies;
        self.store().wait_durable(read_at).await?;
        Ok(Quote { decision, patient, policies, read_at, token })
    }

    /// The digest of the content a quote's token belongs to.
    pub fn ask_digest(&self, ask: &Ask) -> [u8; 16] {
        let mut fields = Fingerprint::new(&self.keys, Settle::METHOD);
        fields.field("institution_code", &ask.institution);
        fingerprint(ask, &mut fields);
        fields.whole()
    }
}

/// Ties on paper come after filed ones, in the order given.
fn paper_tie(owner: MemberId, relation: Relation, place: u16, today: Date) -> Tie {
    Tie {
        binding: BindingId::from_u128(u128::from(place)),
        owner,
        relation,
        spends: true,
        start: today,
        last_day: None,
        caps: Caps::default(),
        used_on: None,
        used_day: Money::ZERO,
        used_year: Money::ZERO,
        priority: 0,
        filed: u64::MAX - u64::from(u16::MAX) + u64::from(place),
    }
}

fn fingerprint(ask: &Ask, fields: &mut Fingerprint<'_>) {
    let visit = &ask.visit;
    fields
        .person("patient", &ask.patient)
        .field("visit.institution_kind", &visit.institution_kind)
        .field("visit.care_region_code", &visit.care_region)
        .field("visit.purpose", &visit.purpose)
        .field("visit.visit_date", &visit.date)
        .field("visit.external_refs", &visit.external)
        .field("bill.total_fen", &ask.bill.total);
    match &ask.bill.content {
        BillContent::Lines(lines) => fields.field("bill.lines", lines).field("bill.adjudicated", &false),
        BillContent::Adjudicated(parts) => fields.field("bill.lines", &false).field("bill.adjudicated", parts),
    };
    let mut papers = Vec::new();
    for paper in &ask.papers {
        paper.owner.parts().put(&mut papers);
        paper.relation.put(&mut papers);
        [&paper.user_card, &paper.phone, &paper.signature_ref].into_iter().for_each(|text| text.put(&mut papers));
    }
    fields.field("paper_authorisations", &papers);
}

impl Command for Settle {
    type Outcome = SettleOutcome;
    const METHOD: u8 = 1;

    fn request(&self) -> (String, &RequestId) {
        (institution_scope(&self.ask.institution), &self.request_id)
    }

    fn fingerprint(&self, fields: &mut Fingerprint<'_>) {
        fingerprint(&self.ask, fields);
    }

    async fn decide(
        &self,
        ledger: &Ledger,
        reading: &mut Reading<'_>,
        now: Moment,
        fresh: Fresh,
    ) -> Result<Plan<SettleOutcome>, Failure> {
        let ask = &self.ask;
        let today = now.civil_day();
        ledger.check_day("visit.visit_date", ask.visit.date, today)?;
        let (patient, on_paper) = ledger.load_case(reading, &ask.patient, &ask.papers, ask.visit.date).await?;
        let loaded = ledger.assemble(reading, patient, &ask.papers, &on_paper, ask.visit.date, today)?;
        let decision = settlement::decide(&loaded.case(ledger, &ask.visit, &ask.bill, today));
        if let Some(token) = &self.token {
            token.check(&decision, ledger.ask_digest(ask), now, &ledger.keys)?;
        }
        plan(ledger, self, reading, &loaded, &on_paper, decision, now, fresh)
    }

    async fn replay(
        &self,
        _: &Ledger,
        reading: &mut Reading<'_>,
        record: Record,
        _: [u8; 16],
    ) -> Result<SettleOutcome, Failure> {
        let Event::Settled(settled) = record.event else {
            return Err(Failure::Bug("a settle request made another record"));
        };
        let (key, basis) = (Key::Settlement(settled.id), Key::Basis(settled.id));
        reading.get(&[key, basis]).await?;
        let settlement = reading.settlement(&key)?.ok_or(Failure::Bug("a settled record has no settlement"))?;
        let trace = reading.basis(&basis)?.map(|basis| basis.trace.clone()).unwrap_or_default();
        Ok(SettleOutcome { settlement: settlement.as_settled(), trace, current_state: settlement.state() })
    }
}

/// Settlement request ids live in the institution's scope.
pub fn institution_scope(institution: &InstitutionCode) -> String {
    format!("institution:{}", institution.as_str())
}

#[allow(clippy::too_many_arguments, reason = "the facts, the decision and the names it gets")]
fn plan(
    ledger: &Ledger,
    command: &Settle,
    reading: &Reading<'_>,
    loaded: &Loaded<'_>,
    on_paper: &[MemberId],
    decision: Decision,
    now: Moment,
    fresh: Fresh,
) -> Result<Plan<SettleOutcome>, Failure> {
    let ask = &command.ask;
    let today = now.civil_day();
    let id = SettlementId::from_u128(fresh.id);
    let region = loaded.patient.insurance.region;
    let mut postings = Vec::with_capacity(8);
    let mut accounts = payer_accounts(reading, &decision.contributions, today, &mut postings)?;
    let mut family = loaded.family.clone();
    settlement::apply(&decision, &ask.institution, region, today, &mut accounts, &mut family, &mut postings);

    let split = &decision.amounts.split;
    let used = YearUse { deductible: loaded.used.deductible + split.deductible, fund: loaded.used.fund + split.fund };
    let policies: Vec<[u8; 32]> = loaded.policies.iter().map(|policy| policy.revision.digest).collect();
    let Decision { amounts, contributions, excluded, trace } = decision;
    let basis = Basis {
        salt: fresh.salt,
        bill: ask.bill.clone(),
        payers: loaded.payer_facts(today),
        excluded: excluded.clone(),
        papers: paper_facts(&ask.papers, on_paper),
        used: loaded.used,
        trace: trace.clone(),
    };
    let mut basis_bytes = Vec::with_capacity(1024);
    basis.put(&mut basis_bytes);
    let settled = Settled {
        id,
        institution: ask.institution.clone(),
        patient: loaded.patient.id,
        region,
        amounts,
        contributions: contributions.clone(),
        policies: policies.clone(),
        basis_digest: chain::content_hash(&basis_bytes),
    };
    let settlement = Settlement {
        id,
        institution: ask.institution.clone(),
        patient: loaded.patient.id,
        region,
        visit: ask.visit.clone(),
        amounts,
        contributions,
        excluded,
        policies,
        refunds: Vec::new(),
        created_at: now,
    };
    let lists = lists(ledger, &settlement);
    let mut puts = Vec::with_capacity(10);
    if used != loaded.used {
        puts.push((Key::YearUse(loaded.patient.id, ask.visit.date.year()), Entity::YearUse(used)));
    }
    if family != *loaded.family {
        puts.push((Key::Family(loaded.patient.id), Entity::Family(family)));
    }
    puts.extend(accounts.into_iter().map(|account| (Key::Account(account.member), Entity::Account(account))));
    ledger.policy_puts(&loaded.policies, &mut puts);
    let outcome = SettleOutcome { settlement: settlement.clone(), trace, current_state: SettlementState::Confirmed };
    puts.push((Key::Settlement(id), Entity::Settlement(Box::new(settlement))));
    puts.push((Key::Basis(id), Entity::Basis(Box::new(basis))));
    let record = Record { event: Event::Settled(Box::new(settled)), postings };
    Ok(Plan { record, puts, lists, outcome })
}

fn paper_facts(papers: &[Paper], owners: &[MemberId]) -> Vec<PaperFact> {
    let fact = |(paper, owner): (&Paper, &MemberId)| PaperFact {
        owner: *owner,
        user_card: paper.user_card.clone(),
        phone: paper.phone.clone(),
        signature_ref: paper.signature_ref.clone(),
    };
    papers.iter().zip(owners).map(fact).collect()
}

/// The accounts that pay or get back, turned to today, each once.
pub(super) fn payer_accounts(
    reading: &Reading<'_>,
    contributions: &[Contribution],
    today: Date,
    postings: &mut Vec<Posting>,
) -> Result<Vec<Account>, Failure> {
    let mut accounts: Vec<Account> = Vec::with_capacity(contributions.len());
    for contribution in contributions {
        if accounts.iter().all(|account| account.member != contribution.payer) {
            let found = reading.account(&Key::Account(contribution.payer))?;
            let mut account = found.cloned().ok_or(Failure::Bug("a payer has no account"))?;
            account.turn_year(today, postings);
            accounts.push(account);
        }
    }
    Ok(accounts)
}

fn lists(ledger: &Ledger, settlement: &Settlement) -> Vec<(ListKey, u128)> {
    let subject = settlement.id.as_u128();
    let mut lists = Vec::with_capacity(12);
    let mut add = |key: ListKey| {
        if lists.iter().all(|(known, _)| *known != key) {
            lists.push((key, subject));
        }
    };
    add(ListKey { kind: ListKind::InstitutionSettlements, of: ledger.keys.institution(&settlement.institution) });
    add(list_of(ListKind::PatientSettlements, settlement.patient.as_u128()));
    for contribution in &settlement.contributions {
        add(list_of(ListKind::AccountEntries, contribution.payer.as_u128()));
        if !contribution.is_own() {
            add(list_of(ListKind::OwnerSettlements, contribution.payer.as_u128()));
        }
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
            add(ListKey { kind: ListKind::ExternalReference, of });
        }
    }
    lists
}
