//! RegionService: which pools exist, what rules each has on a day.

use std::sync::Arc;

use jiff::civil::Date;
use tonic::{Request, Response, Status};

use super::enums::{Wire, to_wire_all};
use super::explanation;
use super::fields::{Fields, all3};
use super::proto::region_service_server::RegionService;
use super::{Service, proto};
use crate::domain::ids::RegionCode;
use crate::domain::policy::{Citation, Policy, RelationSteps, changes};
use crate::domain::region::Region;
use crate::domain::sharing;
use crate::domain::vocabulary::Effective;
use crate::ledger::Failure;
use crate::ledger::failure::Thing;

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RegionService for Service {
    async fn get_region(&self, request: Request<proto::GetRegionRequest>) -> Reply<proto::GetRegionResponse> {
        let proto::GetRegionRequest { region_code, on } = request.into_inner();
        let mut fields = Fields::new();
        let code = fields.region("region_code", &region_code);
        let on = self.read_on(&mut fields, &on);
        let (code, on) = fields.done(code.zip(on))?;
        let found = self.valid_region("region_code", code, on)?;
        Ok(Response::new(proto::GetRegionResponse { region: Some(self.region(found, on)) }))
    }

    async fn list_regions(&self, request: Request<proto::ListRegionsRequest>) -> Reply<proto::ListRegionsResponse> {
        let proto::ListRegionsRequest { province_code, cross_province_only, on, name_contains, page_size, page_token } =
            request.into_inner();
        let mut fields = Fields::new();
        let province = if province_code.is_empty() {
            Some(None)
        } else {
            fields.region("province_code", &province_code).map(Some)
        };
        let day = self.read_on(&mut fields, &on);
        let name = fields.text("name_contains", &name_contains, 64, false);
        let size = fields.page_size(page_size, self.limits.page_size_default, self.limits.page_size_max);
        fields.beside(self.ledger.check_page_token(&page_token));
        let ((province, day, name), size) = fields.done(all3(province, day, name).zip(size))?;
        let filter = format!("regions {province_code} {cross_province_only} {on} {name}");
        let page = self.ledger.page(&page_token, filter.as_bytes(), size, u64::from(u32::MAX))?;
        let regions = &self.ledger.book.regions;
        let is_province = |code: RegionCode| {
            code == code.province() && regions.get(code).is_some_and(|region| region.is_valid_on(day))
        };
        if province.is_some_and(|province| !is_province(province)) {
            return Err(Failure::NoRegion { thing: Thing::Province, field: "province_code" }.into());
        }
        let wanted = |region: &&Region| {
            u64::from(region.code.as_u32()) > page.after
                && province.is_none_or(|province| region.code.province() == province.province())
                && (!cross_province_only || (region.level.is_pool() && regions.open_on(region.code, day).is_some()))
                && (name.is_empty()
                    || region.name.contains(&name)
                    || region.aliases.iter().any(|alias| alias.contains(&name)))
                && region.is_valid_on(day)
        };
        let mut found: Vec<&Region> = regions.iter().filter(wanted).take(page.limit + 1).collect();
        let more = found.len() > page.limit;
        found.truncate(page.limit);
        let last = found.last().map(|region| u64::from(region.code.as_u32()));
        let next = last.filter(|_| more).map(|after| self.ledger.next_page(&page, after));
        Ok(Response::new(proto::ListRegionsResponse {
            regions: found.into_iter().map(|region| self.region(region, day)).collect(),
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn get_policy(&self, request: Request<proto::GetPolicyRequest>) -> Reply<proto::GetPolicyResponse> {
        let proto::GetPolicyRequest { region_code, on } = request.into_inner();
        let mut fields = Fields::new();
        let code = fields.region("region_code", &region_code);
        let on = self.read_on(&mut fields, &on);
        let (code, on) = fields.done(code.zip(on))?;
        let found = self.valid_pool("region_code", code, on)?;
        let (calculation_tables, calculation_citations) = self.calculation_tables(code, on);
        let policy = Some(policy(found));
        Ok(Response::new(proto::GetPolicyResponse { policy, calculation_tables, calculation_citations }))
    }

    async fn list_policy_revisions(
        &self,
        request: Request<proto::ListPolicyRevisionsRequest>,
    ) -> Reply<proto::ListPolicyRevisionsResponse> {
        let proto::ListPolicyRevisionsRequest { region_code, page_size, page_token } = request.into_inner();
        let mut fields = Fields::new();
        let code = fields.region("region_code", &region_code);
        let size = fields.page_size(page_size, self.limits.page_size_default, self.limits.page_size_max);
        fields.beside(self.ledger.check_page_token(&page_token));
        let (code, size) = fields.done(code.zip(size))?;
        let revisions = self.ledger.book.revisions(code);
        let filter = format!("revisions {region_code}");
        let page = self.ledger.page(&page_token, filter.as_bytes(), size, revisions.len() as u64)?;
        if revisions.is_empty() {
            let thing = if self.ledger.book.regions.get(code).is_some() { Thing::Pool } else { Thing::Region };
            return Err(Failure::NoRegion { thing, field: "region_code" }.into());
        }
        let from = usize::try_from(page.after).unwrap_or(usize::MAX).min(revisions.len());
        let to = from.saturating_add(page.limit).min(revisions.len());
        let mut citations: Vec<proto::Citation> = Vec::new();
        let mut found = Vec::with_capacity(to - from);
        for place in from..to {
            let before = place.checked_sub(1).map(|place| revisions[place].as_ref());
            let after = &revisions[place];
            let mut told = Vec::new();
            for change in changes(before, after) {
                let value = change.after;
                if citations.iter().all(|known| known.id != value.citation.id) {
                    citations.push(citation(&value.citation));
                }
                told.push(proto::ValueChange {
                    name: value.param.name().to_owned(),
                    before: change.before.map(|before| before.text.clone()).unwrap_or_default(),
                    after: value.text.clone(),
                    region_code: value.region.to_string(),
                    citation_id: value.citation.id.clone(),
                    grade: value.grade.to_wire(),
                    place: value.place.clone(),
                });
            }
            found.push(proto::RevisionChanges { revision: Some(revision(after)), changes: told });
        }
        let next = (to < revisions.len()).then(|| self.ledger.next_page(&page, to as u64));
        Ok(Response::new(proto::ListPolicyRevisionsResponse {
            revisions: found,
            citations,
            next_page_token: next.unwrap_or_default(),
        }))
    }

    async fn check_sharing(&self, request: Request<proto::CheckSharingRequest>) -> Reply<proto::CheckSharingResponse> {
        let proto::CheckSharingRequest { owner_region_code, beneficiary_region_code, relation, on, explanation_view } =
            request.into_inner();
        let mut fields = Fields::new();
        let owner = fields.region("owner_region_code", &owner_region_code);
        let beneficiary = fields.region("beneficiary_region_code", &beneficiary_region_code);
        let relation = fields.word("relation", relation);
        let on = self.read_on(&mut fields, &on);
        let view = fields.explanation_view(explanation_view, proto::ExplanationView::Full);
        let ((owner, beneficiary, relation), (on, view)) =
            fields.done(all3(owner, beneficiary, relation).zip(on.zip(view)))?;
        let book = &self.ledger.book;
        let find = |field, code| self.valid_pool(field, code, on).cloned();
        let used = vec![find("owner_region_code", owner)?, find("beneficiary_region_code", beneficiary)?];
        let decision = sharing::check(&used[0], &used[1], &book.regions, relation, on);
        self.ledger.check_grades(&decision.trace, &used, on)?;
        let (policies, digests) = self.rendering(&used);
        let basis = self.basis(&policies, &digests, None);
        let yes = decision.reasons.is_empty();
        Ok(Response::new(proto::CheckSharingResponse {
            decision: (if yes { proto::Decision::Yes } else { proto::Decision::No }) as i32,
            modes: to_wire_all(&decision.modes),
            reasons: explanation::reason_notes(&decision.reasons),
            explanation: explanation::render(&self.ledger.tell(decision.trace), &basis, view),
        }))
    }
}

impl Service {
    /// The day asked about; the server's own when left out.
    fn read_on(&self, fields: &mut Fields, on: &str) -> Option<Date> {
        Some(fields.optional_day("on", on)?.unwrap_or_else(|| self.ledger.now().civil_day()))
    }

    /// A region as it is on a day; one that is not yet or no longer is none, though whoever stays insured there keeps its law.
    fn valid_region(&self, field: &'static str, code: RegionCode, on: Date) -> Result<&Region, Failure> {
        let found = self.ledger.book.regions.get(code).filter(|region| region.is_valid_on(on));
        found.ok_or(Failure::NoRegion { thing: Thing::Region, field })
    }

    /// The policy of a region in which people are insured.
    fn valid_pool(&self, field: &'static str, code: RegionCode, on: Date) -> Result<&Arc<Policy>, Failure> {
        self.valid_region(field, code, on)?;
        self.ledger.book.policy(code, on).ok_or(Failure::NoRegion { thing: Thing::Pool, field })
    }

    /// The tables that calculations of a region and day rest on, with their sources.
    fn calculation_tables(&self, region: RegionCode, on: Date) -> (Vec<proto::PolicyValue>, Vec<proto::Citation>) {
        let (mut tables, mut citations): (Vec<_>, Vec<proto::Citation>) = Default::default();
        let Some(law) = self.ledger.book.calculation.law(region, on) else { return (tables, citations) };
        for entry in law.revision.entries.iter().flatten() {
            let Some(origin) = &entry.origin else { continue };
            tables.push(proto::PolicyValue {
                name: entry.key.name().to_owned(),
                value: entry.text.clone(),
                start_date: origin.start_text.clone(),
                end_date: origin.end.map(|day| day.to_string()).unwrap_or_default(),
                region_code: origin.region_text.clone(),
                citation_id: origin.citation.id.clone(),
                grade: origin.grade.to_wire(),
                note: origin.note.clone(),
                place: origin.place.clone(),
            });
            if citations.iter().all(|known| known.id != origin.citation.id) {
                citations.push(citation(&origin.citation));
            }
        }
        (tables, citations)
    }

    fn region(&self, region: &Region, on: Date) -> proto::Region {
        let opening = self.ledger.book.regions.open_on(region.code, on).filter(|_| region.level.is_pool());
        let mut sources = vec![citation(&region.citation)];
        // One source may say both.
        let other = opening.filter(|opening| opening.citation.id != region.citation.id);
        sources.extend(other.map(|opening| citation(&opening.citation)));
        proto::Region {
            code: region.code.to_string(),
            name: region.name.clone(),
            aliases: region.aliases.clone(),
            level: region.level.to_wire(),
            province_code: region.code.province().to_string(),
            parent_code: region.parent.map(|code| code.to_string()).unwrap_or_default(),
            valid_from: region.valid_from.to_string(),
            valid_to: region.valid_to.map(|day| day.to_string()).unwrap_or_default(),
            cross_province_since: opening.map(|opening| opening.since.to_string()).unwrap_or_default(),
            sources,
        }
    }
}

pub(super) fn citation(citation: &Citation) -> proto::Citation {
    proto::Citation {
        id: citation.id.clone(),
        document: citation.document.clone(),
        article: citation.article.clone(),
        effective_date: citation.effective.map(|day| day.to_string()).unwrap_or_default(),
        url: citation.url.clone(),
        grade: citation.grade.to_wire(),
        note: citation.note.clone(),
        place: citation.place.clone(),
    }
}

fn revision(policy: &Policy) -> proto::PolicyRevision {
    proto::PolicyRevision {
        region_code: policy.region.to_string(),
        digest: crate::ledger::page::hex(&policy.revision.digest),
        start_date: policy.revision.start.to_string(),
        end_date: policy.revision.end.map(|day| day.to_string()).unwrap_or_default(),
        known_from: policy.revision.known_from.to_string(),
    }
}

fn policy(policy: &Policy) -> proto::Policy {
    let rules = &policy.rules;
    let mut citations: Vec<proto::Citation> = Vec::new();
    for value in policy.values.iter() {
        if citations.iter().all(|known| known.id != value.citation.id) {
            citations.push(citation(&value.citation));
        }
    }
    let values = policy.values.iter().map(|value| proto::PolicyValue {
        name: value.param.name().to_owned(),
        value: value.text.clone(),
        start_date: value.start.to_string(),
        end_date: value.end.map(|day| day.to_string()).unwrap_or_default(),
        region_code: value.region.to_string(),
        citation_id: value.citation.id.clone(),
        grade: value.grade.to_wire(),
        note: value.note.clone(),
        place: value.place.clone(),
    });
    let channels = rules.channels.iter().map(|rule| proto::ChannelPolicy {
        channel: rule.channel.to_wire(),
        evidence_types: rule.evidence.clone(),
        one_of_evidence_types: rule.evidence_any.clone(),
        grants: to_wire_all(&rule.grants),
        minor_evidence_types: rule.minor_evidence.clone(),
        verification_types: rule.verification.clone(),
        card_must_be_active: rule.card_active,
        next_day: rule.effective == Effective::NextDay,
        relation_steps: rule.relation_steps.iter().map(relation_steps).collect(),
    });
    let releases = rules.releases.iter().map(|rule| proto::ReleasePolicy {
        channel: rule.channel.to_wire(),
        evidence_types: rule.evidence.clone(),
        next_day: rule.effective == Effective::NextDay,
    });
    proto::Policy {
        region_code: policy.region.to_string(),
        revision: Some(revision(policy)),
        values: values.collect(),
        citations,
        modes: to_wire_all(&rules.modes),
        relations: to_wire_all(&rules.relations),
        own_buckets: to_wire_all(&rules.own_buckets),
        relative_buckets: to_wire_all(&rules.relative_buckets),
        floor_fen: Some(rules.floor.amount().as_fen()),
        own_account_rule: rules.own_account_order.name().to_owned(),
        owner_order: rules.owner_order.name().to_owned(),
        purposes_own: to_wire_all(&rules.own_purposes),
        purposes_relatives: to_wire_all(&rules.relative_purposes),
        prohibited_purposes: to_wire_all(&rules.prohibited_purposes),
        components_own: to_wire_all(&rules.own_components),
        components_relatives: to_wire_all(&rules.relative_components),
        channels: channels.collect(),
        releases: releases.collect(),
        cross_province_modes: to_wire_all(&rules.cross_province_modes),
    }
}

fn relation_steps(steps: &RelationSteps) -> proto::RelationSteps {
    let verification_types = steps.verification.clone();
    proto::RelationSteps { relations: to_wire_all(&steps.relations), verification_types }
}
