//! Holds: repeated after years, resolved by many at once, ended by the server, and a thousand of them over a restart.

use std::time::Duration;

use gongji::domain::ids::SettlementId;
use gongji::store::Key;
use prost::Message;
use proto::SettlementState as S;
use proto::settlement_service_client::SettlementServiceClient;
use tokio::task::JoinSet;

use crate::process::wait_until;
use crate::support::*;

const DAY: i64 = 86_400;

fn state_of(server: &TestServer, id: &str) -> proto::Settlement {
    server.get_settlement(settlement_by_id(id)).expect("found").settlement.expect("set")
}

#[test]
fn a_repeated_hold_is_answered_as_it_was_made() {
    for_each_store(|setup| {
        let mut server = setup.start();
        let (mother, son) = server.family(50_000);
        let request = hold_of(&settle("h", &mother, 12_000), 600);
        let first = server.hold_settlement(request.clone()).expect("held");
        let made = first.settlement.clone().expect("set");
        let at = |stamp: Option<&prost_types::Timestamp>| stamp.expect("set").seconds;
        assert_eq!(at(made.expire_time.as_ref()) - at(made.create_time.as_ref()), 600);
        assert_eq!((made.state(), made.held_fen, made.hold_end_time), (S::Held, 12_000, None));
        let check = |server: &TestServer, now: S| {
            let again = server.hold_settlement(request.clone()).expect("a repeat succeeds");
            assert!(again.replayed);
            assert_eq!(again.current_state(), now);
            let same = proto::HoldSettlementResponse { replayed: false, current_state: first.current_state, ..again };
            assert_eq!(same, first);
        };
        check(&server, S::Held);
        // The day left out, as in a settlement; the time is part of the content, and so is the method.
        let longer = hold_of(&settle("h", &mother, 12_000), 601);
        let told = told(&server.hold_settlement(longer).expect_err("other content"));
        assert_eq!(told.metadata["differing_fields"], "hold_for");
        assert_eq!(failed(server.settle(settle("h", &mother, 12_000))), "AlreadyExists REQUEST_ID_REUSED");
        let part = proto::ConfirmSettlementRequest { accounts_fen: Some(5_000), ..confirm("c", &made.settlement_id) };
        let confirmed = server.confirm_settlement(part.clone()).expect("confirmed");
        check(&server, S::Confirmed);
        let refund = proto::RefundParts { accounts_fen: 1_000, ..Default::default() };
        server.refund_settlement(refund_parts("f", &made.settlement_id, refund)).expect("refunded");
        server.clock().add_seconds(400 * DAY);
        server.restart();
        check(&server, S::PartiallyRefunded);
        let again = server.confirm_settlement(part).expect("a repeat succeeds");
        assert_eq!((again.replayed, again.current_state()), (true, S::PartiallyRefunded));
        assert_eq!((again.settlement, again.returned_fen), (confirmed.settlement, 7_000));
        let other = proto::ConfirmSettlementRequest { accounts_fen: Some(0), ..confirm("c", &made.settlement_id) };
        let told = crate::support::told(&server.confirm_settlement(other).expect_err("other content"));
        assert_eq!(told.metadata["differing_fields"], "accounts_fen");
        assert_eq!(server.balances(&son), (0, 46_000));
    });
}

#[test]
fn what_was_taken_less_is_explained() {
    let server = Setup::memory().start();
    let (mother, _) = server.family(50_000);
    let held = server.hold_settlement(hold_of(&settle("h", &mother, 12_000), 600)).expect("held");
    let id = held.settlement.expect("set").settlement_id;
    let part = proto::ConfirmSettlementRequest { accounts_fen: Some(5_000), ..confirm("c", &id) };
    server.confirm_settlement(part).expect("confirmed");
    let found = server.get_settlement(settlement_by_id(&id)).expect("found");
    let explanation: proto::Explanation = prost::Message::decode(found.explanation.as_slice()).expect("a message");
    let steps: Vec<(&str, &str)> =
        explanation.steps.iter().map(|step| (step.rule_id.as_str(), step.result.as_str())).collect();
    assert!(steps.ends_with(&[("hold.taken", "5000"), ("hold.cash", "7000")]), "{steps:?}");
}

/// Whoever is first resolves a hold; all others are told by whom, and nothing of theirs is done.
#[test]
fn a_hold_is_resolved_once_whoever_comes_at_once() {
    for_each_store(|setup| {
        let server = setup.start();
        let (mother, son) = server.family(50_000);
        let mut left = 50_000;
        for round in 0..20 {
            let held = server.hold_settlement(hold_of(&settle(&format!("h-{round}"), &mother, 1_000), 600));
            let id = held.expect("held").settlement.expect("set").settlement_id;
            let answers = server.wait(async {
                let connections: Vec<_> = (0..4).map(|_| server.connect()).collect();
                let mut calls = JoinSet::new();
                for number in 0..16 {
                    let mut client = SettlementServiceClient::new(connections[number % 4].clone());
                    let (name, id) = (format!("r-{round}-{number}"), id.clone());
                    calls.spawn(async move {
                        if number % 2 == 0 {
                            client.confirm_settlement(confirm(&name, &id)).await.map(|_| "confirmed")
                        } else {
                            client.release_hold(release_of(&name, &id)).await.map(|_| "released")
                        }
                    });
                }
                calls.join_all().await
            });
            let won: Vec<&str> = answers.iter().filter_map(|answer| answer.as_ref().ok().copied()).collect();
            assert_eq!(won.len(), 1, "{won:?}");
            let (reason, state) = match won[0] {
                "confirmed" => ("FailedPrecondition HOLD_CONFIRMED", S::Confirmed),
                _ => ("FailedPrecondition HOLD_RELEASED", S::Released),
            };
            answers.iter().filter_map(|answer| answer.as_ref().err()).for_each(|no| assert_eq!(words(no), reason));
            assert_eq!(state_of(&server, &id).state(), state);
            left -= if state == S::Confirmed { 1_000 } else { 0 };
            assert_eq!(server.balances(&son), (0, left));
        }
    });
}

/// Nobody asks about the hold: the server ends it.
#[test]
fn the_server_ends_what_nobody_asks_about() {
    for_each_store(|setup| {
        let server = setup.with(|config| config.hold_sweep_ms = 5).start();
        let (mother, _) = server.family(50_000);
        server.hold_settlement(hold_of(&settle("h", &mother, 12_000), 600)).expect("held");
        let head = server.head();
        server.clock().add_seconds(599);
        assert_eq!(server.head(), head);
        server.clock().add_seconds(1);
        let records = || {
            let request = proto::ListRecordsRequest { from_position: head + 1, ..Default::default() };
            server.list_records(request).expect("records").records
        };
        let record = wait_until("the hold's end", Duration::from_secs(30), || records().into_iter().next());
        assert_eq!(record.kind(), proto::RecordKind::HoldExpired);
        assert_eq!((record.postings.len(), record.postings[0].amount_fen), (1, 12_000));
    });
}

/// A thousand holds, of which a third run out while the server is away, on the stores that can be found again.
#[test]
fn a_thousand_holds_over_a_restart_come_out_to_the_fen() {
    const FAMILIES: usize = 50;
    const HOLDS: usize = 1_000;
    for_each_store(|setup| {
        let mut server = setup.start();
        let money = 1_000_000;
        let pairs: Vec<(String, String)> = (0..FAMILIES)
            .map(|number| {
                let number = u32::try_from(number * 2).expect("few");
                let (mother, son) = (server.member(number, "440300", 0), server.member(number + 1, "440300", money));
                server.bind(&son, &mother);
                (mother, son)
            })
            .collect();
        // Of different amounts, so that no mistake is made up for by another.
        let amount = |number: usize| 100 + 7 * i64::try_from(number).expect("few");
        let mut expected = vec![money; FAMILIES];
        let mut ids = Vec::with_capacity(HOLDS);
        for number in 0..HOLDS {
            let ask = settle(&format!("h-{number}"), &pairs[number % FAMILIES].0, amount(number));
            let seconds = if number % 3 == 0 { 60 } else { 10 * DAY };
            let seconds = seconds.min(i64::from(u32::try_from(DAY).expect("a day")));
            let held = server.hold_settlement(hold_of(&ask, seconds)).expect("held");
            ids.push(held.settlement.expect("set").settlement_id);
        }
        for (number, (_, son)) in pairs.iter().enumerate() {
            let held: i64 = (number..HOLDS).step_by(FAMILIES).map(amount).sum();
            let account = server.account(son);
            let prior = account.buckets.iter().find(|found| found.bucket == proto::Bucket::PriorYears as i32);
            let prior = prior.expect("every bucket is shown");
            assert_eq!((prior.posted_fen, prior.held_fen, prior.available_fen), (money, held, money - held));
        }
        // The third runs out while nobody serves; a memory store lives as long as its server, and there it runs out under it.
        server.restart_after(|clock| clock.add_seconds(3_600));
        for (number, id) in ids.iter().enumerate() {
            let (name, part) = (format!("r-{number}"), amount(number) / 3);
            let state = match number % 6 {
                0 | 3 => {
                    assert_eq!(
                        failed(server.confirm_settlement(confirm(&name, id))),
                        "FailedPrecondition HOLD_EXPIRED"
                    );
                    S::Expired
                }
                1 | 4 => {
                    let part = proto::ConfirmSettlementRequest { accounts_fen: Some(part), ..confirm(&name, id) };
                    server.confirm_settlement(part).expect("confirmed");
                    expected[number % FAMILIES] -= amount(number) / 3;
                    S::Confirmed
                }
                2 => {
                    server.release_hold(release_of(&name, id)).expect("released");
                    S::Released
                }
                _ => S::Held,
            };
            assert_eq!(state_of(&server, id).state(), state, "{number}");
        }
        // The rest runs out too.
        server.clock().add_seconds(2 * DAY);
        for (number, (_, son)) in pairs.iter().enumerate() {
            assert_eq!(server.balances(son), (0, expected[number]), "family {number}");
        }
        for (number, id) in ids.iter().enumerate().filter(|(number, _)| number % 6 == 5) {
            assert_eq!(state_of(&server, id).state(), S::Expired, "{number}");
        }
    });
}

#[test]
fn one_paper_payer_has_one_name_in_every_explanation() {
    for_each_store(|setup| {
        let server = setup.start();
        server.clock().set("2020-12-01T10:00:00+08:00");
        let [patient, poor, rich] =
            [(1, 0), (2, 0), (3, 900_000)].map(|(number, fen)| server.member(number, "440300", fen));
        let paper = |owner: &str| proto::PaperAuthorisation {
            owner: by_id(owner),
            user_card: "CARD-1".to_owned(),
            relation: proto::Relation::Parent as i32,
            phone: "13800000000".to_owned(),
            signature_ref: "slip-1".to_owned(),
        };
        let mut bill = settle("h", &patient, 2_000);
        bill.visit.as_mut().expect("set").visit_date = "2020-12-01".to_owned();
        bill.paper_authorisations = vec![paper(&poor), paper(&rich)];
        let held = server.hold_settlement(hold_of(&bill, 600)).expect("held").settlement.expect("set");
        let part = proto::ConfirmSettlementRequest { accounts_fen: Some(1_500), ..confirm("c", &held.settlement_id) };
        server.confirm_settlement(part).expect("confirmed");
        let full = proto::ExplanationView::Full as i32;
        let look = proto::GetSettlementRequest { explanation_view: full, ..settlement_by_id(&held.settlement_id) };
        let explained = |bytes: &[u8]| proto::Explanation::decode(bytes).expect("an explanation");
        let whole = explained(&server.get_settlement(look).expect("found").explanation);
        let refund =
            proto::RefundSettlementRequest { explanation_view: full, ..refund_whole("f", &held.settlement_id) };
        let refunded = explained(&server.refund_settlement(refund).expect("refunded").explanation);
        let steps = whole.steps.iter().chain(&refunded.steps);
        let about = |wanted: &str| {
            let found = steps.clone().filter(|step| step.rule_id == wanted);
            found.map(|step| (step.subject.clone(), step.result_fen.unwrap_or_default())).collect::<Vec<_>>()
        };
        let rich = |fen: i64| vec![("payer:paper-1".to_owned(), fen)];
        assert_eq!(about("draw.relative"), rich(2_000));
        assert_eq!(about("hold.taken"), rich(1_500));
        assert_eq!(about("refund.accounts"), rich(1_500));
        assert_eq!(about("draw.excluded"), [("payer:paper-0".to_owned(), 0)]);
        // What stands on the paper stays on it.
        let key = Key::Basis(SettlementId::parse(&held.settlement_id).expect("an id"));
        let found = server.wait(server.ledger().store().load(&[key])).expect("a look").facts;
        let kept = format!("{found:?}");
        assert!(kept.contains("slip-1") && !kept.contains("13800000000") && !kept.contains("CARD-1"), "{kept}");
    });
}
