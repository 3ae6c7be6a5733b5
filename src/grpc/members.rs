//! MemberService: insured persons and their insurance.

use tonic::{Request, Response, Status};

use super::fields::{Fields, all3};
use super::people::{self, created_millis};
use super::proto::member_service_server::MemberService;
use super::{Service, proto, wire_position};
use crate::domain::ids::MemberId;
use crate::domain::member::{Insurance, MemberRef, Person};
use crate::ledger::members::{CreateMember, SERVERS_DAY, UpdateInsurance};

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl MemberService for Service {
    async fn create_member(&self, request: Request<proto::CreateMemberRequest>) -> Reply<proto::CreateMemberResponse> {
        let proto::CreateMemberRequest {
            request_id,
            name,
            id_number,
            card_number,
            personal_number,
            computer_number,
            insurance,
            view,
        } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let name = fields.text("name", &name, 64, true);
        let id_number = fields.id_number("id_number", &id_number);
        let card = fields.optional_code("card_number", card_number.unwrap_or_default());
        let personal = fields.optional_code("personal_number", personal_number.unwrap_or_default());
        let computer = fields.optional_code("computer_number", computer_number.unwrap_or_default());
        let insurance = read_insurance(&mut fields, insurance);
        let full = fields.full_view(view);
        let person = all3(name, id_number, card).zip(personal).zip(computer);
        let person = person.map(|(((name, id_number, card_number), personal_number), computer_number)| Person {
            member: MemberId::from_u128(0),
            name,
            id_number,
            card_number,
            personal_number,
            computer_number,
        });
        let ((request_id, person, insurance), full) = fields.done(all3(request_id, person, insurance).zip(full))?;
        let full = self.allow_view(full)?;
        let command = CreateMember { caller: self.caller(), request_id, person, insurance };
        let done = self.ledger.run(&command).await?;
        let (member, person) = (&done.outcome.member, done.outcome.person.as_ref());
        Ok(Response::new(proto::CreateMemberResponse {
            member: Some(people::member(member, person, done.position, created_millis(member.id), full)),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    async fn get_member(&self, request: Request<proto::GetMemberRequest>) -> Reply<proto::GetMemberResponse> {
        let proto::GetMemberRequest { member_id, view, min_ledger_position } = request.into_inner();
        let mut fields = Fields::new();
        let id = fields.member_id("member_id", &member_id).map(MemberRef::Id);
        let member = self.look_up(fields, id, view, min_ledger_position).await?;
        Ok(Response::new(proto::GetMemberResponse { member: Some(member) }))
    }

    async fn look_up_member(&self, request: Request<proto::LookUpMemberRequest>) -> Reply<proto::LookUpMemberResponse> {
        let proto::LookUpMemberRequest { member, view, min_ledger_position } = request.into_inner();
        let mut fields = Fields::new();
        let reference = fields.person("member", member);
        let member = self.look_up(fields, reference, view, min_ledger_position).await?;
        Ok(Response::new(proto::LookUpMemberResponse { member: Some(member) }))
    }

    async fn update_insurance(
        &self,
        request: Request<proto::UpdateInsuranceRequest>,
    ) -> Reply<proto::UpdateInsuranceResponse> {
        let proto::UpdateInsuranceRequest { request_id, member, insurance, etag } = request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let member = fields.person("member", member);
        let insurance = read_insurance(&mut fields, insurance);
        let (request_id, member, insurance) = fields.done(all3(request_id, member, insurance))?;
        let command = UpdateInsurance { caller: self.caller(), request_id, member, insurance, etag };
        let done = self.ledger.run(&command).await?;
        let (member, person) = (&done.outcome.member, done.outcome.person.as_ref());
        Ok(Response::new(proto::UpdateInsuranceResponse {
            member: Some(people::member(member, person, done.position, created_millis(member.id), false)),
            released_binding_ids: done.outcome.released.iter().map(ToString::to_string).collect(),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        }))
    }

    async fn record_certification(
        &self,
        request: Request<proto::RecordCertificationRequest>,
    ) -> Reply<proto::RecordCertificationResponse> {
        super::certifications::record(self, request.into_inner()).await.map(Response::new)
    }
}

impl Service {
    async fn look_up(
        &self,
        mut fields: Fields,
        reference: Option<MemberRef>,
        view: i32,
        position: i64,
    ) -> Result<proto::Member, Status> {
        let full = fields.full_view(view);
        let position = fields.position(position);
        let (reference, full, position) = fields.done(all3(reference, full, position))?;
        let full = self.allow_view(full)?;
        self.ledger.fresh_enough(position).await?;
        let found = self.ledger.member(&reference).await?;
        let certification = self.ledger.certification(found.member.id, found.member.insurance.region).await?;
        let created = created_millis(found.member.id);
        let mut member = people::member(&found.member, found.person.as_ref(), found.position, created, full);
        member.certification = certification.as_ref().map(super::certifications::certification);
        Ok(member)
    }
}

fn read_insurance(fields: &mut Fields, insurance: Option<proto::Insurance>) -> Option<Insurance> {
    let Some(proto::Insurance { scheme, tier, state, region_code, has_account, start_date }) = insurance else {
        fields.bad("insurance", "is required");
        return None;
    };
    let scheme = fields.word("insurance.scheme", scheme);
    let tier = fields.optional_code("insurance.tier", &tier);
    let state = fields.word("insurance.state", state);
    let region = fields.region("insurance.region_code", &region_code);
    let start = fields.optional_day("insurance.start_date", &start_date).map(|day| day.unwrap_or(SERVERS_DAY));
    Some(Insurance { scheme: scheme?, tier: tier?, state: state?, region: region?, has_account, start: start? })
}
