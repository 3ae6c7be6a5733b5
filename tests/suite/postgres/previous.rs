//! The program of the schema before, as it was built, and this one, over one database: what either writes the other reads, and
//! what was asked of one is known to the other.
//!
//! `GONGJI_PREVIOUS_PROGRAM=/path/to/gongji cargo test --test suite postgres::previous` names it; `./check` builds the revision
//! that `previous_revision` holds and runs this. Without it the test says so and is content.

use std::collections::BTreeMap;

use gongji::grpc::proto;
use gongji::grpc::proto::settlement_service_client::SettlementServiceClient;
use tonic::transport::Channel;

use super::server::{Database, PostgresServer};
use super::upgrade::{newer_words, serve, up_to};
use crate::feed::{PEOPLE, load, people};
use crate::kills::{Answer, Op, Outcome, binding, credit, hold, person, send, settle};
use crate::process::{PATIENCE, Server, check_ledger, ended, gongji, program, run, today, wait_until};

/// People with numbers of their own: owners, then who is helped by them.
const OWNERS: usize = 4;
const HELPED: usize = 4;
const FIRST: usize = 500;

const FULL: i32 = proto::ExplanationView::Full as i32;

/// A member of the demonstration pool whose region limits what one draws from one account.
fn member(number: usize, has_account: bool) -> Op {
    let Op::Member(mut request) = person(number, has_account) else { panic!("a member") };
    request.insurance.as_mut().expect("set").region_code = "980300".to_owned();
    Op::Member(request)
}

/// A bill by its lines: one wholly in scope, one at the policy's rate, one at a rate of its own, one wholly the person's.
fn lines(id: String, patient: usize, day: &str, amount_fen: i64) -> Op {
    let Op::Settle(mut request) = settle(id, "H001", patient, day, 4 * amount_fen, 0) else { panic!("a settlement") };
    request.visit.as_mut().expect("set").care_region_code = "980300".to_owned();
    let line = |number: usize, class: proto::ListClass, rate: &str| proto::Line {
        line_id: format!("L{number}"),
        item_code: format!("ITEM{number}"),
        category: proto::ItemCategory::Drug as i32,
        list_class: class as i32,
        amount_fen,
        first_self_pay_rate: rate.to_owned(),
        ..Default::default()
    };
    let lines = vec![
        line(1, proto::ListClass::B, ""),
        line(2, proto::ListClass::B, "0.15"),
        line(3, proto::ListClass::C, ""),
        line(4, proto::ListClass::A, ""),
    ];
    request.bill = Some(proto::Bill { total_fen: 4 * amount_fen, lines, adjudicated: None });
    request.explanation_view = FULL;
    Op::Settle(request)
}

fn refund(id: String, settlement: &proto::Settlement, whole: bool) -> Op {
    use proto::refund_settlement_request::What;
    let parts = proto::RefundParts { accounts_fen: 1, ..Default::default() };
    Op::Refund(proto::RefundSettlementRequest {
        request_id: id,
        institution_code: settlement.institution_code.clone(),
        settlement_id: settlement.settlement_id.clone(),
        what: Some(if whole { What::Whole(true) } else { What::Parts(parts) }),
        explanation_view: FULL,
    })
}

fn confirm(id: String, settlement: &proto::Settlement) -> Op {
    let held: i64 = settlement.contributions.iter().map(|part| part.amount_fen).sum();
    Op::Confirm(proto::ConfirmSettlementRequest {
        request_id: id,
        institution_code: settlement.institution_code.clone(),
        settlement_id: settlement.settlement_id.clone(),
        accounts_fen: Some(held / 2),
        explanation_view: FULL,
    })
}

/// An answer without its explanation: each program puts the same steps into its own titles and citations.
fn bare(answer: &Answer) -> Answer {
    let mut answer = answer.clone();
    match &mut answer {
        Answer::Member(_) | Answer::Credit(_) | Answer::ReleaseHold(_) | Answer::Resolve(_) => {}
        Answer::Bind(answer) => answer.explanation = None,
        Answer::Release(answer) => answer.explanation = None,
        Answer::Settle(answer) => answer.explanation.clear(),
        Answer::Refund(answer) => answer.explanation.clear(),
        Answer::Hold(answer) => answer.explanation.clear(),
        Answer::Confirm(answer) => answer.explanation.clear(),
    }
    answer
}

fn settlement_of(answer: &Answer) -> Option<&proto::Settlement> {
    match answer {
        Answer::Settle(answer) => answer.settlement.as_ref(),
        Answer::Hold(answer) => answer.settlement.as_ref(),
        _ => None,
    }
}

/// Does it at one and repeats it at the other, which gives the same answer as a repeat.
async fn at_one_and_again(one: &Channel, other: &Channel, op: Op) -> Answer {
    let done = send(one, op.clone()).await;
    let Outcome::Done { answer, replayed: false } = done else { panic!("{op:?}: {done:?}") };
    let again = send(other, op.clone()).await;
    let Outcome::Done { answer: repeat, replayed: true } = again else { panic!("{op:?}: {again:?}") };
    assert_eq!(bare(&repeat), bare(&answer), "{op:?}");
    answer
}

/// What a full explanation says, but for titles, citations and the arithmetic as text.
async fn explained(channel: &Channel, id: &str) -> Vec<String> {
    use prost::Message as _;
    let key = proto::get_settlement_request::Key::SettlementId(id.to_owned());
    let request = proto::GetSettlementRequest { key: Some(key), explanation_view: FULL, ..Default::default() };
    let found = SettlementServiceClient::new(channel.clone()).get_settlement(request).await.expect("it is there");
    steps(&proto::Explanation::decode(&found.into_inner().explanation[..]).expect("an explanation"))
}

fn steps(explanation: &proto::Explanation) -> Vec<String> {
    assert!(!explanation.steps.is_empty());
    let inputs = |step: &proto::Step| {
        step.inputs.iter().map(|input| format!("{}={}", input.name, input.value)).collect::<Vec<_>>().join(",")
    };
    let told = |step: &proto::Step| format!("{} {} ({}) {}", step.rule_id, step.subject, inputs(step), step.result);
    explanation.steps.iter().map(told).collect()
}

/// Owners of accounts, and relatives without money whom two of them help.
async fn families(one: &Channel, other: &Channel) -> u64 {
    let mut done = 0;
    for number in 0..OWNERS + HELPED {
        at_one_and_again(one, other, member(FIRST + number, true)).await;
        done += 1;
    }
    for number in 0..OWNERS {
        at_one_and_again(one, other, credit(format!("family-{number}"), FIRST + number, 5_000_000)).await;
        done += 1;
    }
    for number in 0..HELPED {
        for turn in 0..2 {
            let (owner, helped) = (FIRST + (number + turn) % OWNERS, FIRST + OWNERS + number);
            let [one, other] = if turn == 0 { [one, other] } else { [other, one] };
            let op = binding(one, format!("family-{owner}-{helped}"), owner, helped).await;
            at_one_and_again(one, other, op).await;
            done += 1;
        }
    }
    done
}

#[test]
fn the_program_of_the_schema_before_and_this_one_serve_one_database() {
    let Some(path) = std::env::var("GONGJI_PREVIOUS_PROGRAM").ok().filter(|path| !path.is_empty()) else {
        println!("GONGJI_PREVIOUS_PROGRAM names no program: nothing was compared");
        return;
    };
    let database = PostgresServer::shared().fresh_database();
    let url = database.url();
    let made = ended(program(&path, &["migrate", "up", "--partition-records", "200", "--database-url", url]));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(database.sql("SELECT max(version) FROM gongji.migration"), "1");
    let old = Server::start(program(&path, &serve(url)));
    let mut records = run(async {
        people(&old).await;
        let channel = old.channel().await;
        families(&channel, &channel).await + PEOPLE as u64
    });
    // This program's part that the old one serves on with, under its load.
    records += std::thread::scope(|scope| {
        let loading = scope.spawn(|| run(load(&old, 0, 600)));
        wait_until("the migration", PATIENCE, || up_to(url, Some(2)).status.success().then_some(()));
        loading.join().expect("whoever loads is answered throughout")
    });
    let new = Server::start(gongji(&[&serve(url)[..], &["--readiness-ms", "50"]].concat()));
    let settlements = run(async {
        let (of_old, of_new) = (old.channel().await, new.channel().await);
        let mixed = both(&of_old, &of_new, &mut records).await;
        let mut checked = Vec::new();
        for channel in [&of_old, &of_new] {
            checked.push(check_ledger(channel.clone()).await.records_checked);
        }
        assert_eq!(checked, [records as i64; 2], "each once, and right to both");
        mixed
    });
    assert!(newer_words(&database).is_empty(), "{:?}", newer_words(&database));
    // Not while the old one serves.
    let refused = up_to(url, None);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("no program of a schema before 2"), "{said}");
    let (status, _, log) = old.terminate();
    assert!(status.success() && !log.contains("panicked") && !log.contains("error_id"), "{log}");
    wait_until("the end of its connections", PATIENCE, || up_to(url, None).status.success().then_some(()));
    in_full(&new, &database, &settlements);
    let (status, _, log) = new.terminate();
    assert!(status.success() && !log.contains("panicked") && !log.contains("error_id"), "{log}");
    let late = ended(program(&path, &serve(url)));
    let said = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(!late.status.success() && said.contains("needs a newer program"), "{said}");
}

/// Everything by turns at one and at the other; every settlement, with how its explanation reads.
async fn both(of_old: &Channel, of_new: &Channel, records: &mut u64) -> BTreeMap<String, Vec<String>> {
    let day = today(of_old.clone()).await;
    let mut found = BTreeMap::new();
    for number in 0..96 {
        let turn = number % 2 == 0;
        let (one, other) = if turn { (of_old, of_new) } else { (of_new, of_old) };
        let id = format!("both-{number}");
        let helped = FIRST + OWNERS + number % HELPED;
        // By number of eight, so that each kind begins at either.
        let op = match number / 2 % 8 {
            0 => credit(id, number % PEOPLE, 100),
            1 => settle(id, "H001", number % PEOPLE, &day, 500, 200),
            2 => member(FIRST + 100 + number, true),
            3 => {
                let (owner, helped) = (FIRST + 200 + number, FIRST + 400 + number);
                at_one_and_again(one, other, member(owner, true)).await;
                at_one_and_again(one, other, member(helped, false)).await;
                *records += 2;
                binding(one, id, owner, helped).await
            }
            4 => hold(settle(id, "H001", helped, &day, 900, 0)),
            5 => hold(lines(id, helped, &day, 7_000)),
            // In a region whose policy has a rate of first self-pay.
            6 => lines(id, number % PEOPLE, &day, 5_000),
            _ => lines(id, helped, &day, 5_000 + 100 * number as i64),
        };
        let answer = at_one_and_again(one, other, op).await;
        *records += 1;
        let Some(settlement) = settlement_of(&answer) else { continue };
        let told = explained(one, &settlement.settlement_id).await;
        assert_eq!(told, explained(other, &settlement.settlement_id).await, "the same steps to both");
        // What was held is confirmed by the other one, and what was settled goes back there.
        let next = match &answer {
            Answer::Hold(_) => confirm(format!("{number}-confirm"), settlement),
            _ => refund(format!("{number}-refund"), settlement, number % 3 == 0),
        };
        let paid: i64 = settlement.contributions.iter().map(|part| part.amount_fen).sum();
        if paid > 0 {
            at_one_and_again(other, one, next).await;
            *records += 1;
        }
        let told = explained(one, &settlement.settlement_id).await;
        assert_eq!(told, explained(other, &settlement.settlement_id).await, "the same steps to both");
        found.insert(settlement.settlement_id.clone(), told);
    }
    let all: Vec<&String> = found.values().flatten().collect();
    for word in ["split.first_self_pay ", "draw.relative ", "draw.aid_limit ", "hold.taken "] {
        assert!(all.iter().any(|step| step.starts_with(word)), "{word} is explained");
    }
    found
}

/// Once the old one is gone and the database says so, newer words are stored, without a restart; what was told stays as it was.
fn in_full(new: &Server, database: &Database, settlements: &BTreeMap<String, Vec<String>>) {
    let day = run(async { today(new.channel().await).await });
    let mut number = 0;
    wait_until("newer words", PATIENCE, || {
        number += 1;
        let op = lines(format!("full-{number}"), number % PEOPLE, &day, 5_000);
        let outcome = run(async { send(&new.channel().await, op).await });
        assert!(matches!(outcome, Outcome::Done { replayed: false, .. }), "{outcome:?}");
        (!newer_words(database).is_empty()).then_some(())
    });
    run(async {
        let channel = new.channel().await;
        for (id, told) in settlements {
            assert_eq!(*told, explained(&channel, id).await);
        }
        check_ledger(channel).await;
    });
}
