//! A request sent twice has one effect, and the second answer is the first one's, on every method that changes anything.

use std::fmt::Debug;

use tonic::Status;

use crate::support::*;

/// Sends a request three times, the last time after a restart, and other content under the same id.
fn check<Q: Clone, A: Clone + PartialEq + Debug>(
    server: &mut TestServer,
    call: fn(&TestServer, Q) -> Result<A, Status>,
    request: &Q,
    replayed: fn(&mut A) -> &mut bool,
    differing: &[(Q, &str)],
) -> A {
    let first = call(server, request.clone()).expect("the first succeeds");
    let head = server.head();
    let again = |server: &TestServer| {
        let mut again = call(server, request.clone()).expect("a repeat succeeds");
        assert!(std::mem::replace(replayed(&mut again), false), "a repeat says so");
        assert_eq!(again, first);
    };
    assert!(!*replayed(&mut first.clone()));
    again(server);
    // Days later, and by another process.
    server.clock().add_seconds(3 * 86_400);
    again(server);
    server.restart();
    again(server);
    for (other, fields) in differing {
        let refused = call(server, other.clone()).expect_err("other content is refused");
        let told = told(&refused);
        assert_eq!((told.code, told.reason.as_str()), (Code::AlreadyExists, "REQUEST_ID_REUSED"));
        assert_eq!(told.metadata["differing_fields"], *fields);
    }
    assert_eq!(server.head(), head, "a repeat leaves no record");
    first
}

#[test]
fn every_change_can_be_sent_again() {
    for_each_store(|setup| {
        let mut server = setup.start();
        let server = &mut server;
        let request = proto::CreateMemberRequest { personal_number: Some("P-1".to_owned()), ..person(1, "330100") };
        let insurance = |change: fn(&mut proto::Insurance)| {
            let mut insurance = request.insurance.clone().expect("set");
            change(&mut insurance);
            Some(insurance)
        };
        let differing = [
            (proto::CreateMemberRequest { name: "李四".to_owned(), ..request.clone() }, "name"),
            (
                proto::CreateMemberRequest { card_number: None, personal_number: None, ..request.clone() },
                "card_number,personal_number",
            ),
            (
                proto::CreateMemberRequest {
                    insurance: insurance(|new| new.region_code = "440300".to_owned()),
                    ..request.clone()
                },
                "insurance",
            ),
        ];
        let mother = check(server, TestServer::create_member, &request, |answer| &mut answer.replayed, &differing);
        let mother = mother.member.expect("set").member_id;
        // A first day left out is the same content on another day.
        let mut open = person(2, "330100");
        open.insurance.as_mut().expect("set").start_date = String::new();
        let son = check(server, TestServer::create_member, &open, |answer| &mut answer.replayed, &[]);
        let son = son.member.expect("set").member_id;

        let request = credit("c-1", &son, 90_000);
        let differing = [
            (credit("c-1", &son, 90_001), "amount_fen"),
            (credit("c-1", &mother, 90_000), "member"),
            (
                proto::CreditAccountRequest { bucket: 1, kind: 2, note_ref: "n".to_owned(), ..request.clone() },
                "bucket,kind,note_ref",
            ),
        ];
        check(server, TestServer::credit_account, &request, |answer| &mut answer.replayed, &differing);

        let request = filing("b-1", &son, &mother);
        let differing = [
            (proto::CreateBindingRequest { relation: 1, ..request.clone() }, "relation"),
            (
                proto::CreateBindingRequest { last_day: "2026-01-01".to_owned(), priority: Some(3), ..request.clone() },
                "last_day,priority",
            ),
            (proto::CreateBindingRequest { evidence: Vec::new(), channel: 7, ..request.clone() }, "channel,evidence"),
        ];
        let bound = check(server, TestServer::create_binding, &request, |answer| &mut answer.replayed, &differing);
        let binding_id = bound.binding.expect("set").binding_id;

        let mut request = settle("s-1", &mother, 12_000);
        // A day left out is the same content on another day.
        request.visit.as_mut().expect("set").visit_date = String::new();
        let mut elsewhere = request.clone();
        elsewhere.visit.as_mut().expect("set").care_region_code = "330100".to_owned();
        let differing = [
            (proto::SettleRequest { patient: by_id(&son), ..request.clone() }, "patient"),
            (
                proto::SettleRequest { bill: Some(co_payment(12_001)), ..request.clone() },
                "bill.total_fen,bill.adjudicated",
            ),
            (elsewhere, "visit.care_region_code"),
        ];
        let settled = check(server, TestServer::settle, &request, |answer| &mut answer.replayed, &differing);
        let settlement = settled.settlement.clone().expect("set").settlement_id;

        let parts = proto::RefundParts { accounts_fen: 2_000, ..Default::default() };
        let refund = refund_parts("f-1", &settlement, parts);
        let differing =
            [(refund_whole("f-1", &settlement), "whole,parts"), (refund_whole("s-1", &settlement), "method")];
        let first = check(server, TestServer::refund_settlement, &refund, |answer| &mut answer.replayed, &differing);
        // After a refund the settlement's own answer is still its own; where it stands now stands beside it.
        let again = server.settle(request.clone()).expect("found");
        assert_eq!(again.current_state(), proto::SettlementState::PartiallyRefunded);
        let as_first = proto::SettleResponse { replayed: false, current_state: settled.current_state, ..again };
        assert_eq!(as_first, settled);
        check(
            server,
            TestServer::refund_settlement,
            &refund_whole("f-2", &settlement),
            |answer| &mut answer.replayed,
            &[],
        );
        let again = server.refund_settlement(refund).expect("found");
        assert_eq!(again.current_state(), proto::SettlementState::Refunded);
        assert_eq!(
            (again.settlement, again.returned, again.refunded),
            (first.settlement, first.returned, first.refunded)
        );

        let by_pair = proto::BindingPair { owner: by_id(&son), beneficiary: by_id(&mother) };
        let release = proto::ReleaseBindingRequest {
            explanation_view: 0,
            evidence: release_evidence(),
            request_id: "r-1".to_owned(),
            target: Some(proto::release_binding_request::Target::BindingId(binding_id)),
            requested_by: proto::BindingParty::Owner as i32,
            channel: proto::Channel::AgencyWindow as i32,
        };
        let pair = Some(proto::release_binding_request::Target::Pair(by_pair));
        let differing = [
            (proto::ReleaseBindingRequest { requested_by: 2, ..release.clone() }, "requested_by"),
            (proto::ReleaseBindingRequest { target: pair, ..release.clone() }, "binding_id,pair"),
        ];
        check(server, TestServer::release_binding, &release, |answer| &mut answer.replayed, &differing);
        let again = server.create_binding(filing("b-1", &son, &mother)).expect("found");
        assert_eq!(again.binding.as_ref().map(|binding| binding.state), Some(proto::BindingState::Active as i32));
        assert_eq!(again.current_state(), proto::BindingState::Released);

        let update = proto::UpdateInsuranceRequest {
            explanation_view: 0,
            request_id: "u-1".to_owned(),
            member: by_id(&son),
            insurance: insurance(|new| new.state = proto::InsuranceState::Suspended as i32),
            etag: None,
        };
        let differing = [(proto::UpdateInsuranceRequest { etag: Some("1".to_owned()), ..update.clone() }, "etag")];
        check(server, TestServer::update_insurance, &update, |answer| &mut answer.replayed, &differing);
    });
}

/// Transfers are open in Hangzhou in 2021 only.
#[test]
fn a_transfer_can_be_sent_again() {
    for_each_store(|setup| {
        let mut server = setup.start();
        server.clock().set("2021-06-01T09:00:00+08:00");
        let (mother, son) = (server.member(1, "330100", 0), server.member(2, "330100", 50_000));
        let request = proto::TransferFundsRequest {
            request_id: "t-1".to_owned(),
            owner: by_id(&son),
            beneficiary: by_id(&mother),
            relation: proto::Relation::Parent as i32,
            amount_fen: 20_000,
            commitment_ref: "paper-1".to_owned(),
            ..Default::default()
        };
        let differing = [
            (proto::TransferFundsRequest { amount_fen: 1, ..request.clone() }, "amount_fen"),
            (proto::TransferFundsRequest { commitment_ref: "paper-2".to_owned(), ..request.clone() }, "commitment_ref"),
        ];
        check(&mut server, TestServer::transfer_funds, &request, |answer| &mut answer.replayed, &differing);
        assert_eq!((server.balances(&mother), server.balances(&son)), ((0, 20_000), (0, 30_000)));
    });
}

#[test]
fn a_repeated_credit_shows_the_account_of_its_own_year() {
    for_each_store(|setup| {
        let server = setup.start();
        let son = server.member(1, "440300", 0);
        let request =
            proto::CreditAccountRequest { bucket: proto::Bucket::CurrentYear as i32, ..credit("c", &son, 500) };
        let first = server.credit_account(request.clone()).expect("credited");
        server.clock().set("2026-01-01T00:00:00+08:00");
        let again = server.credit_account(request).expect("found");
        assert_eq!(again.account, first.account);
        assert_eq!(server.balances(&son), (0, 500));
    });
}

#[test]
fn a_refused_request_may_succeed_under_the_same_id() {
    for_each_store(|setup| {
        let server = setup.start();
        let son = server.member(1, "440300", 100);
        let correction =
            proto::CreditAccountRequest { kind: proto::CreditKind::Correction as i32, ..credit("c", &son, -300) };
        assert_eq!(failed(server.credit_account(correction.clone())), "FailedPrecondition BALANCE_INSUFFICIENT");
        server.credit_account(credit("top-up", &son, 200)).expect("credited");
        let corrected = server.credit_account(correction).expect("now it can");
        assert!(!corrected.replayed);
        assert_eq!(server.balances(&son), (0, 0));
    });
}

#[test]
fn settlement_ids_belong_to_the_institution() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = server.family(50_000);
        for institution_code in ["H001", "H002"].map(str::to_owned) {
            let request = proto::SettleRequest { institution_code, ..settle("same", &mother, 1_000) };
            assert!(!server.settle(request).expect("settled").replayed);
        }
        assert_eq!(server.balances(&son), (0, 48_000));
    });
}
