//! Quote and settle: the same facts, the same decision; only the second commits it.

use std::sync::Arc;

use smol_str::SmolStr;

use super::failure::Failure;
use super::fingerprint::Fingerprint;
use super::quote::Quoted;
use super::reading::Reading;
use super::settling::{Settling, settled_outcome};
use super::{Command, Fresh, Ledger, Plan};
use crate::domain::bill::{Bill, BillContent, Visit};
use crate::domain::ids::{InstitutionCode, MemberId, RequestId};
use crate::domain::member::MemberRef;
use crate::domain::policy::Policy;
use crate::domain::record::{Event, Record};
use crate::domain::settlement::{self, Decision, Settlement, SettlementState};
use crate::domain::time::Moment;
use crate::domain::vocabulary::Relation;
use crate::domain::wording::Told;
use crate::store::Key;
use crate::store::codec::Stored;

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

/// 书面授权: a relative without a binding, named on the back of the prescription.
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
    pub trace: Arc<Told>,
    /// Masked names of its payers, as far as they were at hand.
    pub names: Vec<(MemberId, SmolStr)>,
    /// Its state now; differs from the settlement's own when it was refunded since.
    pub current_state: SettlementState,
}

/// A quote: a decision, and the position it was read at.
#[derive(Clone, Debug)]
pub struct Quote<'l> {
    /// Its trace is told in `trace`.
    pub decision: Decision,
    pub trace: Told,
    pub patient: MemberId,
    pub names: Vec<(MemberId, SmolStr)>,
    pub policies: Vec<&'l Arc<Policy>>,
    pub read_at: u64,
    pub token: Quoted,
}

impl Ledger {
    /// `QuoteSettlement`: decides and changes nothing.
    pub async fn quote(&self, ask: &Ask) -> Result<Quote<'_>, Failure> {
        self.check_day("visit.visit_date", ask.visit.date, self.now().civil_day())?;
        self.check_care_region(&ask.visit)?;
        let (now, reading, patient, on_paper) = self.look_at_case(&ask.patient, &ask.papers, ask.visit.date).await?;
        let today = now.civil_day();
        // The day that decides may have begun since the request was first looked at.
        self.check_day("visit.visit_date", ask.visit.date, today)?;
        let read_at = reading.read_at();
        let loaded = self.assemble(&reading, patient, &ask.papers, &on_paper, ask.visit.date, today)?;
        let mut decision = settlement::decide(&loaded.case(self, &ask.visit, &ask.bill, today));
        let token =
            Quoted::of(&decision, self.ask_digest(ask), now.plus_seconds(self.limits.quote_seconds), &self.keys);
        let (names, policies) = (loaded.names(), loaded.policies);
        self.store().wait_durable(read_at).await?;
        self.check_grades(&decision.trace, &policies, ask.visit.date)?;
        let trace = self.tell(std::mem::take(&mut decision.trace));
        Ok(Quote { decision, trace, patient, names, policies, read_at, token })
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

    fn begins_with(&self, ledger: &Ledger) -> Option<Key> {
        Some(ledger.key_of(&self.ask.patient))
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
        self.settling(None).decide(ledger, reading, now, fresh).await
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
        settled_outcome(reading, *settled).await
    }
}

impl Settle {
    /// The same work for a settlement, and for a hold that runs out by then.
    pub(super) fn settling(&self, hold_until: Option<Moment>) -> Settling<'_> {
        Settling { ask: &self.ask, token: &self.token, hold_until }
    }

    /// Every canonical field but the method.
    pub(super) fn fields(&self, fields: &mut Fingerprint<'_>) {
        fingerprint(&self.ask, fields);
    }
}

/// Settlement request ids live in the institution's scope.
pub fn institution_scope(institution: &InstitutionCode) -> String {
    ["institution:", institution.as_str()].concat()
}
