//! MemberService: insured persons and their insurance.

use jiff::civil::Date;
use tonic::{Request, Response, Status, Streaming};

use super::explanation;
use super::fields::{Fields, all3};
use super::imports::{self, Imported};
use super::people::{self, created_millis};
use super::proto::member_service_server::MemberService;
use super::{Service, proto, wire_position};
use crate::domain::identity::IdNumber;
use crate::domain::ids::MemberId;
use crate::domain::member::{Insurance, MemberRef, Person};
use crate::domain::vocabulary::CardChannel;
use crate::ledger::OfMade;
use crate::ledger::cards::ActivateCard;
use crate::ledger::members::{Claimed, CreateMember, SERVERS_DAY, UpdateInsurance};
use crate::store::entity::Decided;

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl MemberService for Service {
    async fn create_member(&self, request: Request<proto::CreateMemberRequest>) -> Reply<proto::CreateMemberResponse> {
        self.create_one(request.into_inner()).await.map(Response::new)
    }

    async fn import_members(
        &self,
        request: Request<Streaming<proto::ImportMembersRequest>>,
    ) -> Reply<proto::ImportMembersResponse> {
        let Imported { results, stopped } = imports::members(self, request).await;
        Ok(Response::new(proto::ImportMembersResponse { results, stopped }))
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
        let proto::UpdateInsuranceRequest { request_id, member, insurance, etag, explanation_view } =
            request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let member = fields.person("member", member);
        let insurance = self.read_insurance(&mut fields, insurance, None);
        let view = fields.explanation_view(explanation_view, proto::ExplanationView::Full);
        let ((request_id, member, insurance), view) = fields.done(all3(request_id, member, insurance).zip(view))?;
        let command = UpdateInsurance { caller: self.caller(), request_id, member, insurance, etag };
        let done = self.ledger.run(&command).await?;
        let (member, person) = (&done.outcome.member, done.outcome.person.as_ref());
        let card = done.outcome.card.as_ref();
        let Decided { trace, policies: digests } = &done.outcome.decided;
        let policies = self.ledger.revisions(digests).await.of_made()?;
        // Where no binding ended no rule was applied.
        let explained = (!trace.steps.is_empty())
            .then(|| explanation::render(trace, &self.basis(&policies, digests, None), view))
            .flatten();
        Ok(Response::new(proto::UpdateInsuranceResponse {
            member: Some(people::member(member, person, card, done.position, created_millis(member.id), false)),
            released_binding_ids: done.outcome.released.iter().map(ToString::to_string).collect(),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
            explanation: explained,
        }))
    }

    async fn activate_card(&self, request: Request<proto::ActivateCardRequest>) -> Reply<proto::ActivateCardResponse> {
        let proto::ActivateCardRequest { request_id, member, channel, evidence, bank_code, explanation_view } =
            request.into_inner();
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let member = fields.person("member", member);
        let channel = fields.word::<CardChannel>("channel", channel);
        let evidence = self.read_evidence(&mut fields, evidence);
        let bank = fields.optional_code("bank_code", &bank_code);
        if channel.is_some_and(|channel| (channel == CardChannel::IssuingBank) == bank_code.is_empty()) {
            fields.bad("bank_code", "is required at a bank's counter, and nowhere else");
        }
        let view = fields.explanation_view(explanation_view, proto::ExplanationView::Full);
        let read = all3(request_id, member, channel).zip(all3(evidence, bank, view));
        let ((request_id, member, channel), (evidence, bank, view)) = fields.done(read)?;
        let command = ActivateCard { caller: self.caller(), request_id, member, channel, evidence, bank };
        let done = self.ledger.run(&command).await?;
        let outcome = &done.outcome;
        let policies = self.ledger.revisions(&outcome.policies).await.of_made()?;
        let basis = self.basis(&policies, &outcome.policies, None);
        let (member, person, card) = (&outcome.member, outcome.person.as_ref(), outcome.card.as_ref());
        let created = created_millis(member.id);
        Ok(Response::new(proto::ActivateCardResponse {
            member: Some(people::member(
                member,
                person,
                card,
                outcome.member_position.max(done.position),
                created,
                false,
            )),
            explanation: explanation::render(&outcome.trace, &basis, view),
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

/// Whether a card is active; left out, it is.
fn read_card_state(fields: &mut Fields, state: i32) -> Option<bool> {
    match proto::CardState::try_from(state) {
        Ok(proto::CardState::Unspecified | proto::CardState::Active) => Some(true),
        Ok(proto::CardState::Inactive) => Some(false),
        Err(_) => {
            fields.bad("card_state", "must be a known value");
            None
        }
    }
}

impl Service {
    /// One person, in a call of its own or among many.
    pub(in crate::grpc) async fn create_one(
        &self,
        request: proto::CreateMemberRequest,
    ) -> Result<proto::CreateMemberResponse, Status> {
        let proto::CreateMemberRequest {
            request_id,
            name,
            id_number,
            card_number,
            personal_number,
            computer_number,
            insurance,
            view,
            card_state,
            issuing_bank_code,
        } = request;
        let mut fields = Fields::new();
        let request_id = fields.request_id(&request_id);
        let name = fields.text("name", &name, 64, true);
        let id_number = fields.id_number("id_number", &id_number);
        let no_card = card_number.is_none();
        let card = fields.given_code("card_number", card_number);
        let personal = fields.given_code("personal_number", personal_number);
        let computer = fields.given_code("computer_number", computer_number);
        let birth = id_number.as_ref().map(IdNumber::birth_date);
        let insurance = self.read_insurance(&mut fields, insurance, birth);
        let full = fields.full_view(view);
        let card_active = read_card_state(&mut fields, card_state);
        let bank = fields.optional_code("issuing_bank_code", &issuing_bank_code);
        if no_card && (card_active == Some(false) || !issuing_bank_code.is_empty()) {
            fields.bad("card_number", "is required with card_state or issuing_bank_code");
        }
        let person = all3(name, id_number, card).zip(personal).zip(computer);
        let person = person.map(|(((name, id_number, card_number), personal_number), computer_number)| Person {
            member: MemberId::from_u128(0),
            name,
            id_number,
            card_number,
            personal_number,
            computer_number,
        });
        let read = all3(request_id, person, insurance).zip(all3(full, card_active, bank));
        let ((request_id, person, insurance), (full, card_active, issuing_bank)) = fields.done(read)?;
        let full = self.allow_view(full)?;
        let command = CreateMember { caller: self.caller(), request_id, person, insurance, card_active, issuing_bank };
        let done = self.ledger.run(&command).await?;
        let (member, person) = (&done.outcome.member, done.outcome.person.as_ref());
        let card = done.outcome.card.as_ref();
        Ok(proto::CreateMemberResponse {
            member: Some(people::member(member, person, card, done.position, created_millis(member.id), full)),
            ledger_position: wire_position(done.position),
            replayed: done.replayed,
        })
    }

    /// `birth` of the person whose insurance it is, where the request says it.
    fn read_insurance(
        &self,
        fields: &mut Fields,
        insurance: Option<proto::Insurance>,
        birth: Option<Date>,
    ) -> Option<Insurance> {
        let today = self.ledger.now().civil_day();
        let Some(proto::Insurance { scheme, tier, state, region_code, has_account, start_date }) = insurance else {
            fields.bad("insurance", "is required");
            fields.beside(self.ledger.check_claimed(Claimed { birth, ..Claimed::default() }, today));
            return None;
        };
        let scheme = fields.word("insurance.scheme", scheme);
        let tier = fields.optional_code("insurance.tier", &tier);
        let state = fields.word("insurance.state", state);
        let region = fields.region("insurance.region_code", &region_code);
        let start = fields.optional_day("insurance.start_date", &start_date).map(|day| day.unwrap_or(SERVERS_DAY));
        fields.beside(self.ledger.check_claimed(Claimed { birth, region, start, scheme, has_account }, today));
        Some(Insurance { scheme: scheme?, tier: tier?, state: state?, region: region?, has_account, start: start? })
    }

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
        let mut member =
            people::member(&found.member, found.person.as_ref(), found.card.as_ref(), found.position, created, full);
        member.certification = certification.as_ref().map(super::certifications::certification);
        Ok(member)
    }
}
