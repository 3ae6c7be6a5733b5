//! Wallets and quotas where stories cannot go: many at once, and what the server does by itself at night.

use gongji::domain::record::Job;
use gongji::domain::time::{Moment, parse_day};
use gongji::server::nightly;
use proto::account_service_client::AccountServiceClient;
use proto::binding_service_client::BindingServiceClient;
use tokio::task::JoinSet;

use crate::support::*;

/// A sender in one province, a receiver in another, both with open wallets.
fn two_wallets(server: &TestServer, prior_fen: i64) -> (String, String) {
    let (owner, child) = (server.member(1, "622900", prior_fen), server.member(2, "510100", 0));
    for (place, member) in [&owner, &child].into_iter().enumerate() {
        let request = proto::OpenWalletRequest { request_id: format!("open-{place}"), member: by_id(member) };
        server.open_wallet(request).expect("opened");
    }
    (owner, child)
}

fn transfer(request_id: &str, owner: &str, child: &str, fen: i64) -> proto::TransferFundsRequest {
    proto::TransferFundsRequest {
        request_id: request_id.to_owned(),
        owner: by_id(owner),
        beneficiary: by_id(child),
        relation: proto::Relation::Child as i32,
        amount_fen: fen,
        commitment_ref: "C-1".to_owned(),
        ..Default::default()
    }
}

#[test]
fn of_many_transfers_at_once_three_are_sent() {
    for_each_store(|setup| {
        let server = setup.start();
        let (owner, child) = two_wallets(&server, 10_000);
        let answers = server.wait(async {
            let mut calls = JoinSet::new();
            for number in 0..40 {
                let mut client = AccountServiceClient::new(server.channel());
                let request = transfer(&format!("t-{number}"), &owner, &child, 100);
                calls.spawn(async move { client.transfer_funds(request).await });
            }
            calls.join_all().await
        });
        let sent = answers.iter().filter(|answer| answer.is_ok()).count();
        for status in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            assert_eq!(words(status), "FailedPrecondition TRANSFERS_PER_DAY_REACHED");
        }
        assert_eq!((sent, server.balances(&owner)), (3, (0, 9_700)));
    });
}

#[test]
fn a_transfer_is_taken_once_or_goes_back_once() {
    for_each_store(|setup| {
        let server = setup.start();
        let (owner, child) = two_wallets(&server, 10_000);
        let sent = server.transfer_funds(transfer("t", &owner, &child, 5_000)).expect("sent");
        server.clock().set("2025-03-04T05:59:59.999999+08:00");
        let (claims, returned) = server.wait(async {
            let mut calls = JoinSet::new();
            for number in 0..20 {
                let mut client = AccountServiceClient::new(server.channel());
                let request = proto::ClaimTransferRequest {
                    request_id: format!("c-{number}"),
                    transfer_id: sent.transfer_id.clone(),
                    beneficiary: by_id(&child),
                    ..Default::default()
                };
                calls.spawn(async move { client.claim_transfer(request).await.is_ok() });
            }
            let ledger = server.ledger();
            let day = parse_day("2025-03-03").expect("a day");
            // Claims are on their way when the hour strikes; until then nothing goes back.
            let early = ledger.return_unclaimed(day, |_| {}).await.expect("it runs");
            assert_eq!(early.returned, 0);
            server.clock().set("2025-03-04T06:00:00+08:00");
            let returned = ledger.return_unclaimed(day, |_| {});
            let (claims, returned) = tokio::join!(calls.join_all(), returned);
            (claims.into_iter().filter(|taken| *taken).count(), returned.expect("it runs").returned)
        });
        assert_eq!(claims + returned as usize, 1, "{claims} claims, {returned} returns");
        let wallet = posted(&server.account(&child), proto::Bucket::Wallet);
        assert_eq!(wallet + server.balances(&owner).1, 10_000);
    });
}

#[test]
fn of_many_quotas_at_once_no_fen_is_set_aside_twice() {
    for_each_store(|setup| {
        let server = setup.start();
        server.clock().set("2026-02-01T09:00:00+08:00");
        let owner = server.member(1, "622900", 10_000);
        let bindings: Vec<String> =
            (0..8).map(|number| server.bind(&owner, &server.member(10 + number, "510100", 0))).collect();
        let set = server.wait(async {
            let mut calls = JoinSet::new();
            for (number, binding_id) in bindings.iter().cloned().enumerate() {
                let mut client = BindingServiceClient::new(server.channel());
                let request = proto::SetQuotaRequest {
                    request_id: format!("q-{number}"),
                    binding_id,
                    quota_fen: 3_000,
                    evidence: ["OWNER_CONSENT", "BENEFICIARY_CONSENT"].map(evidence).to_vec(),
                    ..Default::default()
                };
                calls.spawn(async move { client.set_quota(request).await.is_ok() });
            }
            calls.join_all().await.into_iter().filter(|set| *set).count()
        });
        let account = server.account(&owner);
        assert_eq!((set, account.quota_frozen_fen, server.balances(&owner)), (3, 9_000, (0, 1_000)));
    });
}

/// Sets the quota of a binding.
fn quota(server: &TestServer, request_id: &str, binding: &str, fen: i64) {
    let request = proto::SetQuotaRequest {
        request_id: request_id.to_owned(),
        binding_id: binding.to_owned(),
        quota_fen: fen,
        evidence: ["OWNER_CONSENT", "BENEFICIARY_CONSENT"].map(evidence).to_vec(),
        ..Default::default()
    };
    server.set_quota(request).expect("set");
}

/// Every clock is read before the ledger is looked at, and the clocks of two servers differ: which came first, a settlement or
/// the quota it drew on, is told by the ledger. A refund goes into the quota that paid while it lasts, else to the owner.
#[test]
fn a_refund_finds_the_quota_that_paid_whatever_the_clocks_said() {
    let (early, noon, late) = ("2026-02-02T11:59:00+08:00", "2026-02-02T12:00:00+08:00", "2026-02-02T12:01:00+08:00");
    // When the quota was set, when it paid, when it was given up and set anew; whether it is given up at all.
    let rows = [
        (noon, noon, noon, false),
        (noon, late, late, false),
        (noon, early, early, false),
        (noon, noon, noon, true),
        (noon, late, early, true),
        (noon, early, early, true),
        (late, noon, early, true),
    ];
    for_each_store(|setup| {
        let server = setup.start();
        server.clock().set("2026-02-01T09:00:00+08:00");
        let owner = server.member(1, "622900", 1_000_000);
        for (place, (set_at, paid_at, again_at, given_up)) in (10_u32..).zip(rows) {
            let child = server.member(place, "510100", 0);
            let binding = server.bind(&owner, &child);
            server.clock().set(set_at);
            quota(&server, &format!("q-{place}"), &binding, 10_000);
            server.clock().set(paid_at);
            let visit =
                proto::Visit { visit_date: "2026-02-02".to_owned(), care_region_code: "510100".to_owned(), ..visit() };
            let bill = proto::SettleRequest { visit: Some(visit), ..settle(&format!("s-{place}"), &child, 4_000) };
            let paid = server.settle(bill).expect("settled").settlement.expect("set");
            assert_eq!(paid.amounts.expect("set").mutual_aid_fen, 4_000, "row {place}");
            if given_up {
                server.clock().set(again_at);
                quota(&server, &format!("up-{place}"), &binding, 0);
                quota(&server, &format!("anew-{place}"), &binding, 5_000);
            }
            let frozen = server.account(&owner).quota_frozen_fen;
            server.refund_settlement(refund_whole(&format!("r-{place}"), &paid.settlement_id)).expect("refunded");
            let back = server.account(&owner).quota_frozen_fen - frozen;
            assert_eq!(back, if given_up { 0 } else { 4_000 }, "row {place}");
            quota(&server, &format!("end-{place}"), &binding, 0);
            assert_eq!(server.balances(&owner), (0, 1_000_000), "row {place}");
            server.clock().set("2026-02-02T13:00:00+08:00");
        }
    });
}

#[test]
fn what_nobody_took_is_due_in_the_small_hours() {
    let at = "06:00:00".parse().expect("a time");
    for (now, day) in [
        ("2025-03-04T05:59:59+08:00", "2025-03-02"),
        ("2025-03-04T06:00:00+08:00", "2025-03-03"),
        ("2025-03-04T23:59:59+08:00", "2025-03-03"),
        ("2025-03-05T00:00:00+08:00", "2025-03-03"),
    ] {
        let instant: jiff::Timestamp = now.parse().expect("an instant");
        let due = nightly::due(Moment::from_micros(instant.as_microsecond()), at);
        assert_eq!(due.map(|day| day.to_string()).as_deref(), Some(day), "{now}");
    }
}

#[test]
fn the_server_does_the_nights_it_missed() {
    let mut setup = Setup::embedded();
    setup.config.return_unclaimed_at = String::new();
    let mut server = setup.start();
    let at = "05:30:00".parse().expect("a time");
    let night = |server: &TestServer, next| {
        let ledger = server.ledger();
        server.wait(nightly::catch_up(&ledger, next, at)).expect("it runs")
    };
    assert_eq!(night(&server, None), None, "an empty ledger has no days");
    let (owner, child) = two_wallets(&server, 10_000);
    server.transfer_funds(transfer("t-1", &owner, &child, 1_000)).expect("sent");
    server.clock().set("2025-03-05T09:00:00+08:00");
    server.transfer_funds(transfer("t-2", &owner, &child, 2_000)).expect("sent");
    // Two days later, after a restart: both days' money goes back, and the last day with work is noted.
    server.clock().set("2025-03-07T12:00:00+08:00");
    server.restart();
    let next = night(&server, None);
    assert_eq!(next, parse_day("2025-03-07"));
    assert_eq!(server.balances(&owner), (0, 10_000));
    let head = server.head();
    server.restart();
    assert_eq!(server.wait(server.ledger().job_day(Job::ReturnUnclaimed)), Ok(parse_day("2025-03-06")));
    assert_eq!((night(&server, None), server.head()), (next, head), "nothing is done twice");
    assert_eq!(night(&server, next), next);
}

/// A night's work that begins too early leaves what can still be taken, and comes back to that day.
#[test]
fn what_can_still_be_taken_does_not_go_back() {
    let mut setup = Setup::memory();
    setup.config.return_unclaimed_at = String::new();
    let server = setup.start();
    let early = "05:30:00".parse().expect("a time");
    let night = |next| server.wait(nightly::catch_up(&server.ledger(), next, early)).expect("it runs");
    let (owner, child) = two_wallets(&server, 10_000);
    let sent = server.transfer_funds(transfer("t-1", &owner, &child, 1_000)).expect("sent");
    server.transfer_funds(transfer("t-2", &owner, &child, 2_000)).expect("sent");
    server.clock().set("2025-03-04T05:30:00+08:00");
    let next = night(None);
    assert_eq!((next, server.balances(&owner)), (parse_day("2025-03-03"), (0, 7_000)));
    server.clock().set("2025-03-04T05:59:59+08:00");
    assert_eq!((night(next), server.balances(&owner)), (next, (0, 7_000)));
    let claim = proto::ClaimTransferRequest {
        request_id: "c-1".to_owned(),
        transfer_id: sent.transfer_id,
        beneficiary: by_id(&child),
        ..Default::default()
    };
    server.claim_transfer(claim).expect("it was promised until six");
    server.clock().set("2025-03-04T06:00:00+08:00");
    assert_eq!((night(next), server.balances(&owner)), (parse_day("2025-03-04"), (0, 9_000)));
}
/// A repeat shows the binding as it stood, not what became of it.
#[test]
fn a_quota_that_was_set_is_told_again_as_it_was() {
    for_each_store(|setup| {
        let server = setup.start();
        let (_, _, binding) = server.quota(100_000, 50_000);
        let request = proto::SetQuotaRequest {
            request_id: "again".to_owned(),
            binding_id: binding.clone(),
            quota_fen: 60_000,
            evidence: ["OWNER_CONSENT", "BENEFICIARY_CONSENT"].map(evidence).to_vec(),
            ..Default::default()
        };
        let set = server.set_quota(request.clone()).expect("set");
        assert_eq!(set.binding.as_ref().expect("set").state(), proto::BindingState::Active);
        let release = proto::ReleaseBindingRequest {
            request_id: "release".to_owned(),
            target: Some(proto::release_binding_request::Target::BindingId(binding)),
            requested_by: proto::BindingParty::Owner as i32,
            explanation_view: 0,
            evidence: release_evidence(),
            channel: proto::Channel::AgencyWindow as i32,
        };
        server.release_binding(release).expect("released");
        let again = server.set_quota(request).expect("a repeat succeeds");
        assert_eq!(again, proto::SetQuotaResponse { replayed: true, ..set });
    });
}

/// Who has a wallet and no personal account is paid nothing monthly.
#[test]
fn a_wallet_alone_is_no_account_to_pay_into() {
    for_each_store(|setup| {
        let server = setup.start();
        let mut resident = person(1, "440300");
        let insurance = resident.insurance.as_mut().expect("set");
        insurance.scheme = proto::Scheme::Resident as i32;
        insurance.has_account = false;
        let resident = server.create_member(resident).expect("created").member.expect("set").member_id;
        assert_eq!(failed(server.credit_account(credit("c-1", &resident, 100))), "NotFound ACCOUNT_NOT_FOUND");
        let open = proto::OpenWalletRequest { request_id: "w".to_owned(), member: by_id(&resident) };
        server.open_wallet(open).expect("opened");
        assert_eq!(failed(server.credit_account(credit("c-1", &resident, 100))), "NotFound ACCOUNT_NOT_FOUND");
        assert_eq!(server.balances(&resident), (0, 0));
    });
}
