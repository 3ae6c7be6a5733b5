//! Quote and settle: the same facts, the same decision; only the second commits it.

use std::sync::Arc;

use super::case::Loaded;
use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::payers::{count_slips, payer_accounts, payer_quotas};
use super::quote::Quoted;
use super::reading::{Reading, Standings};
use super::{Command, Fresh, Ledger, Plan, list_of};
use crate::domain::bill::{Bill, BillContent, Visit};
use crate::domain::draw::Contribution;
use crate::domain::ids::{InstitutionCode, MemberId, RequestId, SettlementId};
use crate::domain::member::MemberRef;
use crate::domain::policy::Policy;
use crate::domain::record::{Event, Record, Settled};
use crate::domain::rule::Trace;
use crate::domain::settlement::{self, Decision, Settlement, SettlementState};
use crate::domain::split::YearUse;
use crate::domain::time::Moment;
use crate::domain::vocabulary::Relation;
use crate::store::codec::Stored;
use crate::store::encoded::Encoded;
use crate::store::entity::{Basis, PaperFact};
use crate::store::{Entity, Key, ListKey, ListKind, chain};

/// What a quote and a settlement ask about.
#[derive(Clone, Debug)]
pub struct Ask {
    pub institution: InstitutionCode,
    pub patient: MemberRef,
    pub visit: Visit,
    /// Shared with what is stored.
    pub bill: Arc<Bill>,
    pub papers: Vec<Paper>,
    /// Whether the caller named the visit's day; a repeat on a later day that leaves it out again is the same content.
    pub day_given: bool,
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
    /// A quote's token, or empty. Looked at only when the request decides: a repeat finds its outcome whatever it carries.
    pub token: String,
}

/// A settlement with why it came out so.
#[derive(Clone, Debug)]
pub struct SettleOutcome {
    pub settlement: Arc<Settlement>,
    pub trace: Arc<Trace>,
    /// Masked names of its payers, as far as they were at hand.
    pub names: Vec<(MemberId, String)>,
    /// Its state now; differs from the settlement's own when it was refunded since.
    pub current_state: SettlementState,
}

/// A quote: a decision, and the position it was read at.
#[derive(Clone, Debug)]
pub struct Quote<'l> {
    pub decision: Decision,
    pub patient: MemberId,
    pub names: Vec<(MemberId, String)>,
    pub policies: Vec<&'l Arc<Policy>>,
    pub read_at: u64,
    pub token: Quoted,
}

impl Ledger {
    /// `QuoteSettlement`: decides and changes nothing.
    pub async fn quote(&self, ask: &Ask) -> Result<Quote<'_>, Failure> {
        let mut reading = Reading::new(self.store());
        let mut found = self.look_for_quote(&mut reading, ask).await;
        if reading.is_torn() {
            // Alone, so that it cannot be torn again by this process.
            let _alone = self.gate.write().await;
            reading = Reading::new(self.store());
            found = self.look_for_quote(&mut reading, ask).await;
        }
        let (patient, on_paper, now) = match found {
            Ok(found) => found,
            Err(failure) => {
                self.store().wait_durable(reading.read_at()).await?;
                return Err(failure);
            }
        };
        let today = now.civil_day();
        let read_at = reading.read_at();
        let loaded = self.assemble(&reading, patient, &ask.papers, &on_paper, ask.visit.date, today)?;
        let decision = settlement::decide(&loaded.case(self, &ask.visit, &ask.bill, today));
        let token =
            Quoted::of(&decision, self.ask_digest(ask), now.plus_seconds(self.limits.quote_seconds), &self.keys);
        let (names, policies) = (loaded.names(), loaded.policies);
        self.store().wait_durable(read_at).await?;
        self.check_grades(&decision.trace, &policies, ask.visit.date)?;
        Ok(Quote { decision, patient, names, policies, read_at, token })
    }

    /// The patient, the owners on paper, and the time, told after the look began.
    async fn look_for_quote(
        &self,
        reading: &mut Reading<'_>,
        ask: &Ask,
    ) -> Result<(MemberId, Vec<MemberId>, Moment), Failure> {
        self.resolve(reading, &ask.patient).await?;
        let now = self.now();
        self.check_day("visit.visit_date", ask.visit.date, now.civil_day())?;
        self.check_care_region(&ask.visit)?;
        let (patient, on_paper) = self.load_case(reading, &ask.patient, &ask.papers, ask.visit.date).await?;
        Ok((patient, on_paper, now))
    }

    /// The digest of the content a quote's token belongs to.
    pub fn ask_digest(&self, ask: &Ask) -> [u8; 16] {
        let mut fields = Fingerprint::of_all(&self.keys, Settle::METHOD);
        fields.field("institution_code", &ask.institution);
        fingerprint(ask, &mut fields);
        fields.whole()
    }
}

fn fingerprint(ask: &Ask, fields: &mut Fingerprint<'_>) {
    let visit = &ask.visit;
    fields
        .person("patient", &ask.patient)
        .field("visit.institution_kind", &visit.institution_kind)
        .field("visit.care_region_code", &visit.care_region)
        .field("visit.purpose", &visit.purpose)
        .field("visit.visit_date", &ask.day_given.then_some(visit.date))
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
        ledger.check_care_region(&ask.visit)?;
        let (patient, on_paper) = ledger.load_case(reading, &ask.patient, &ask.papers, ask.visit.date).await?;
        let loaded = ledger.assemble(reading, patient, &ask.papers, &on_paper, ask.visit.date, today)?;
        let decision = settlement::decide(&loaded.case(ledger, &ask.visit, &ask.bill, today));
        ledger.check_grades(&decision.trace, &loaded.policies, ask.visit.date)?;
        if !self.token.is_empty() {
            let token = Quoted::open(&self.token, &ledger.keys)?;
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
        Ok(SettleOutcome {
            settlement: Arc::new(settlement.as_settled()),
            trace,
            names: Vec::new(),
            current_state: settlement.state(),
        })
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
    loaded: &Loaded<'_, '_>,
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
    let mut quotas = payer_quotas(reading, &decision.contributions, today, &mut postings);
    let by_account = |paid: &&Contribution| quotas.iter().all(|quota| Some(quota.binding) != paid.binding);
    let from_accounts = decision.contributions.iter().filter(by_account);
    let mut accounts = payer_accounts(reading, from_accounts, today, &mut postings)?;
    let mut family = loaded.family.clone();
    settlement::apply(
        &decision,
        &ask.institution,
        region,
        today,
        &mut accounts,
        &mut quotas,
        &mut family,
        &mut postings,
    );
    let slips = count_slips(reading, loaded.patient.id, &decision.contributions, today)?;

    let split = &decision.amounts.split;
    let used = YearUse { deductible: loaded.used.deductible + split.deductible, fund: loaded.used.fund + split.fund };
    let policies: Vec<[u8; 32]> = loaded.policies.iter().map(|policy| policy.revision.digest).collect();
    let Decision { amounts, contributions, excluded, trace } = decision;
    let trace = Arc::new(trace);
    let basis = Encoded::new(Basis {
        salt: fresh.salt,
        bill: ask.bill.clone(),
        payers: loaded.payer_facts(today),
        excluded: excluded.clone(),
        papers: paper_facts(&ask.papers, on_paper),
        used: loaded.used,
        trace: trace.clone(),
    });
    let settled = Settled {
        id,
        institution: ask.institution.clone(),
        patient: loaded.patient.id,
        region,
        amounts,
        contributions: contributions.clone(),
        policies: policies.clone(),
        basis_digest: chain::content_hash(basis.bytes()),
    };
    let settlement = Arc::new(Settlement {
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
    });
    let lists = lists(ledger, &settlement);
    let aid = loaded.aid_after(&settlement.contributions, today);
    let mut standings = Standings::new(reading);
    if used != loaded.used {
        standings.of(loaded.patient.id)?.set_year_use(ask.visit.date.year(), used);
    }
    if family != *loaded.family {
        standings.of(loaded.patient.id)?.family = family;
    }
    for account in accounts {
        let member = account.member;
        standings.of(member)?.account = Some(account);
    }
    let mut puts = Vec::with_capacity(8);
    puts.extend(standings.into_puts());
    puts.extend(aid.into_iter().map(|(key, aid)| (key, Entity::AidUse(aid))));
    puts.extend(quotas.into_iter().map(|quota| (Key::Quota(quota.binding), Entity::Quota(Arc::new(quota)))));
    puts.extend(slips.map(|slips| (Key::Slips(loaded.patient.id), Entity::Slips(Arc::new(slips)))));
    ledger.policy_puts(loaded.policies.iter().copied(), &mut puts);
    let names = loaded.names();
    let outcome =
        SettleOutcome { settlement: settlement.clone(), trace, names, current_state: SettlementState::Confirmed };
    puts.push((Key::Settlement(id), Entity::Settlement(settlement)));
    puts.push((Key::Basis(id), Entity::Basis(Arc::new(basis))));
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
