//! What was told over the wire, in the words of the model.

use tonic::Status;

use super::calls::{Answer, Id, Original, Resolve, State, Told, View};
use crate::support::*;

pub fn request_of(ask: &Resolve, name: impl Fn(&Id) -> String) -> proto::ResolveOutcomeRequest {
    let mut request = fence(&name(&ask.id), &name(&ask.of));
    if !ask.fence {
        request.set_on_missing(proto::OnMissing::Report);
    }
    if ask.reverse {
        request.set_if_applied(proto::IfApplied::Reverse);
    }
    request
}

pub fn told_of(outcome: proto::ResolvedOutcome) -> Told {
    match outcome {
        proto::ResolvedOutcome::Applied => Told::Applied,
        proto::ResolvedOutcome::NotApplied => Told::NotApplied,
        proto::ResolvedOutcome::Fenced => Told::Fenced,
        proto::ResolvedOutcome::Reversed => Told::Reversed,
        proto::ResolvedOutcome::Unspecified => panic!("an outcome is always told"),
    }
}

pub fn original_of(method: proto::OriginalMethod) -> Option<Original> {
    match method {
        proto::OriginalMethod::Unspecified => None,
        proto::OriginalMethod::Settle => Some(Original::Settle),
        proto::OriginalMethod::HoldSettlement => Some(Original::Hold),
        proto::OriginalMethod::ConfirmSettlement => Some(Original::Confirm),
        proto::OriginalMethod::ReleaseHold => Some(Original::Release),
        proto::OriginalMethod::RefundSettlement => Some(Original::Refund),
        proto::OriginalMethod::ResolveOutcome => Some(Original::Resolve),
    }
}

pub fn view_of(settled: &proto::Settlement) -> View {
    let (amounts, back) = (settled.amounts.unwrap_or_default(), settled.refunded.unwrap_or_default());
    View {
        state: match settled.state() {
            proto::SettlementState::Held => State::Held,
            proto::SettlementState::Confirmed => State::Confirmed,
            proto::SettlementState::Released => State::Released,
            proto::SettlementState::PartiallyRefunded => State::PartiallyRefunded,
            proto::SettlementState::Refunded => State::Refunded,
            other => panic!("nothing here becomes {other:?}"),
        },
        aid: amounts.mutual_aid_fen,
        aid_back: back.accounts_fen,
        cash: amounts.cash_fen,
        cash_back: back.cash_fen,
        refunds: settled.refunds.iter().map(|refund| (number(&refund.request_id), by(&refund.reversed_by))).collect(),
        reversed_by: by(&settled.reversed_by),
    }
}

/// A request's number, which stands after the family's.
fn number(request_id: &str) -> Id {
    request_id.split_once('-').expect("a family and a number").1.parse().expect("a number")
}

fn by(request_id: &str) -> Option<Id> {
    (!request_id.is_empty()).then(|| number(request_id))
}

pub fn refusal(status: &Status) -> Answer {
    Answer::Refused(match told(status).reason.as_str() {
        "SETTLEMENT_NOT_FOUND" => "SETTLEMENT_NOT_FOUND",
        "ALREADY_REFUNDED" => "ALREADY_REFUNDED",
        "REFUND_EXCEEDS_PAID" => "REFUND_EXCEEDS_PAID",
        "HOLD_OPEN" => "HOLD_OPEN",
        "HOLD_RELEASED" => "HOLD_RELEASED",
        "HOLD_CONFIRMED" => "HOLD_CONFIRMED",
        "NOT_HELD" => "NOT_HELD",
        "CONFIRM_EXCEEDS_HELD" => "CONFIRM_EXCEEDS_HELD",
        "REQUEST_FENCED" => "REQUEST_FENCED",
        "NOT_REVERSIBLE" => "NOT_REVERSIBLE",
        "REFUND_SPENT" => "REFUND_SPENT",
        _ => panic!("nothing here is refused so: {status:?}"),
    })
}
