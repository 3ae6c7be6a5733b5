//! RecordCertification on the wire.

use tonic::Status;

use super::calculation::certification::preconditions;
use super::enums::Wire;
use super::fields::{Fields, all3};
use super::{Service, proto, wire_position};
use crate::domain::ids::CertificationId;
use crate::ledger::certification::{CertificationView, RecordCertification};

pub async fn record(
    service: &Service,
    request: proto::RecordCertificationRequest,
) -> Result<proto::RecordCertificationResponse, Status> {
    let proto::RecordCertificationRequest {
        request_id,
        member,
        certification_id,
        channel,
        by_proxy,
        dependant,
        met,
        first_paid_date,
        state,
    } = request;
    let mut fields = Fields::new();
    let request_id = fields.request_id(&request_id);
    let member = fields.person("member", member);
    let id = if certification_id.is_empty() {
        Some(None)
    } else {
        let id = CertificationId::parse(&certification_id);
        if id.is_none() {
            fields.bad("certification_id", "must be crt_ and 32 hexadecimal digits");
        }
        id.map(Some)
    };
    let channel = fields.optional_word("channel", channel);
    let met = preconditions(&mut fields, "met", &met);
    let first_paid = fields.optional_day("first_paid_date", &first_paid_date);
    let state = fields.word("state", state);
    let read = all3(request_id, member, id).zip(all3(channel, met, first_paid)).zip(state);
    let (((request_id, member, id), (channel, met, first_paid)), state) = fields.done(read)?;
    let command = RecordCertification {
        caller: service.caller(),
        request_id,
        member,
        id,
        channel,
        by_proxy,
        dependant,
        met,
        first_paid,
        state,
    };
    let done = service.ledger.run(&command).await?;
    Ok(proto::RecordCertificationResponse {
        certification: Some(certification(&done.outcome)),
        ledger_position: wire_position(done.position),
        replayed: done.replayed,
    })
}

pub fn certification(view: &CertificationView) -> proto::Certification {
    let CertificationView { certification, next, today } = view;
    let text = |day: Option<jiff::civil::Date>| day.map(|day| day.to_string()).unwrap_or_default();
    proto::Certification {
        certification_id: certification.id.to_string(),
        channel: certification.channel.to_wire(),
        state: certification.state.to_wire(),
        by_proxy: certification.by_proxy,
        dependant: certification.dependant,
        began_date: certification.began.to_string(),
        ended_date: text(certification.ended),
        last_passed_date: text(certification.last_passed),
        resumed_from_date: text(certification.resumed_from),
        due_date: text(next.map(|days| days.due)),
        not_before_date: text(next.map(|days| days.not_before)),
        due_state: next.map_or(0, |days| days.state(*today).to_wire()),
    }
}
