//! What is filed → typed commands; every bad field is noted.

use crate::domain::binding::{BindingState, Caps, Evidence};
use crate::domain::record::ReleasedBy;
use crate::domain::vocabulary::Grant;
use crate::grpc::fields::Fields;
use crate::grpc::{Service, proto};
use crate::ledger::bindings::FilingAsk;
use crate::ledger::release::ReleaseTarget;

/// Most owners a person may put in order by hand.
const PRIORITY_MAX: i32 = 1_000;

/// The fields that `CheckBinding` and `CreateBinding` share.
pub(super) struct FilingFields {
    pub(super) owner: Option<proto::MemberRef>,
    pub(super) beneficiary: Option<proto::MemberRef>,
    pub(super) relation: i32,
    pub(super) relation_detail: String,
    pub(super) channel: i32,
    pub(super) evidence: Vec<proto::Evidence>,
    pub(super) start_date: String,
    pub(super) last_day: String,
    pub(super) caps: Option<proto::Caps>,
    pub(super) priority: Option<i32>,
    pub(super) grants: Vec<i32>,
}

impl Service {
    pub(super) fn read_filing(&self, fields: &mut Fields, filing: FilingFields) -> Option<FilingAsk> {
        let owner = fields.person("owner", filing.owner);
        let beneficiary = fields.person("beneficiary", filing.beneficiary);
        let relation = fields.word("relation", filing.relation);
        let relation_detail = fields.relation_detail(&filing.relation_detail);
        let channel = fields.word("channel", filing.channel);
        let evidence = self.read_evidence(fields, filing.evidence);
        let start = fields.optional_day("start_date", &filing.start_date);
        let last_day = fields.optional_day("last_day", &filing.last_day);
        if let Some((start, last_day)) = start.zip(last_day) {
            fields.beside(self.ledger.check_filing_days(start, last_day, self.ledger.now().civil_day()));
        }
        if let Some((relation, detail)) = relation.zip(relation_detail.as_ref()) {
            fields.beside(self.ledger.check_detail(relation, detail));
        }
        let caps = read_caps(fields, filing.caps.unwrap_or_default());
        let priority = match filing.priority {
            None => Some(0),
            Some(priority) if (1..=PRIORITY_MAX).contains(&priority) => u32::try_from(priority).ok(),
            Some(_) => {
                fields.bad("priority", "must be 1 to 1000");
                None
            }
        };
        let grants = read_grants(fields, &filing.grants);
        Some(FilingAsk {
            owner: owner?,
            beneficiary: beneficiary?,
            relation: relation?,
            relation_detail: relation_detail?,
            channel: channel?,
            evidence: evidence?,
            grants: grants?,
            start: start?,
            last_day: last_day?,
            caps: caps?,
            priority: priority?,
        })
    }

    pub(in crate::grpc) fn read_evidence(
        &self,
        fields: &mut Fields,
        evidence: Vec<proto::Evidence>,
    ) -> Option<Vec<Evidence>> {
        if evidence.len() > self.limits.evidence as usize {
            fields.bad("evidence", format!("has more than {} entries", self.limits.evidence));
            return None;
        }
        let read = evidence.into_iter().enumerate().map(|(place, evidence)| {
            let proto::Evidence { r#type, reference, digest } = evidence;
            let kind = fields.code(&format!("evidence[{place}].type"), &r#type);
            let reference = fields.reference(&format!("evidence[{place}].reference"), &reference);
            let digest = fields.digest(&format!("evidence[{place}].digest"), &digest);
            Some(Evidence { kind: kind?, reference: reference?, digest: digest? })
        });
        read.collect::<Vec<_>>().into_iter().collect()
    }
}

/// Each grant once, so the list is never longer than the enum.
fn read_grants(fields: &mut Fields, grants: &[i32]) -> Option<Vec<Grant>> {
    if grants.len() > Grant::ALL.len() {
        fields.bad("grants", format!("has more than {} entries", Grant::ALL.len()));
        return None;
    }
    let before = fields.len();
    let mut found = Vec::with_capacity(grants.len());
    for (place, grant) in grants.iter().enumerate() {
        let field = format!("grants[{place}]");
        if let Some(grant) = fields.word::<Grant>(&field, *grant) {
            if found.contains(&grant) {
                fields.bad(field, "is named twice");
            }
            found.push(grant);
        }
    }
    (fields.len() == before).then_some(found)
}

pub(super) fn read_caps(fields: &mut Fields, caps: proto::Caps) -> Option<Caps> {
    let proto::Caps { per_settlement_fen, per_day_fen, per_year_fen } = caps;
    let per_settlement = fields.optional_money("caps.per_settlement_fen", per_settlement_fen);
    let per_day = fields.optional_money("caps.per_day_fen", per_day_fen);
    let per_year = fields.optional_money("caps.per_year_fen", per_year_fen);
    Some(Caps { per_settlement: per_settlement?, per_day: per_day?, per_year: per_year? })
}

pub(super) fn read_target(
    fields: &mut Fields,
    target: Option<proto::release_binding_request::Target>,
) -> Option<ReleaseTarget> {
    use proto::release_binding_request::Target;
    match target {
        Some(Target::BindingId(id)) => fields.binding_id("binding_id", &id).map(ReleaseTarget::Binding),
        Some(Target::Pair(proto::BindingPair { owner, beneficiary })) => {
            let owner = fields.person("pair.owner", owner);
            let beneficiary = fields.person("pair.beneficiary", beneficiary);
            Some(ReleaseTarget::Pair { owner: owner?, beneficiary: beneficiary? })
        }
        None => {
            fields.bad("target", "is required: binding_id or pair");
            None
        }
    }
}

pub(super) fn read_party(fields: &mut Fields, party: i32) -> Option<ReleasedBy> {
    match proto::BindingParty::try_from(party) {
        Ok(proto::BindingParty::Owner) => Some(ReleasedBy::Owner),
        Ok(proto::BindingParty::Beneficiary) => Some(ReleasedBy::Beneficiary),
        Ok(proto::BindingParty::Unspecified) | Err(_) => {
            fields.bad("requested_by", "is required and must be a known value");
            None
        }
    }
}

/// The state a listing asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    Any,
    State(BindingState),
}

pub(super) fn read_state(fields: &mut Fields, state: Option<i32>) -> Option<Wanted> {
    use proto::BindingState as S;
    let Some(state) = state else {
        return Some(Wanted::Any);
    };
    match S::try_from(state) {
        Ok(S::Active) => Some(Wanted::State(BindingState::Active)),
        Ok(S::Released) => Some(Wanted::State(BindingState::Released)),
        Ok(S::Ended) => Some(Wanted::State(BindingState::Ended)),
        Ok(S::PendingVerification) => Some(Wanted::State(BindingState::Pending)),
        Ok(S::Unspecified) | Err(_) => {
            fields.bad("state", "must be a known value");
            None
        }
    }
}
