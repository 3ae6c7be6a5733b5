//! `CloseYear`: what the wire adds to the stories, a close that is broken off anywhere, and one beside settlements.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gongji::domain::ids::RegionCode;
use gongji::domain::time::Moment;
use gongji::ledger::Failure;
use gongji::store::memory::MemoryStore;
use gongji::store::{Change, CommitError, Committed, Store, StoreError, StoreFuture};

use crate::around::{Around, Wrapped};
use proto::close_year_request::Of;

use crate::process::{PATIENCE, wait_until};
use crate::support::*;

const REGION: &str = "440300";

fn region() -> RegionCode {
    RegionCode::parse(REGION).expect("a code")
}

fn of_region(request_id: &str, code: &str, year: i32) -> proto::CloseYearRequest {
    let of = Some(Of::RegionCode(code.to_owned()));
    proto::CloseYearRequest { request_id: request_id.to_owned(), of, year, explanation_view: 0 }
}

fn of_member(request_id: &str, member: &str, year: i32) -> proto::CloseYearRequest {
    let of = by_id(member).map(Of::Member);
    proto::CloseYearRequest { request_id: request_id.to_owned(), of, year, explanation_view: 0 }
}

fn progress(server: &TestServer) -> proto::YearClose {
    let request = proto::GetYearCloseRequest { region_code: REGION.to_owned(), year: 2025, min_ledger_position: 0 };
    server.get_year_close(request).expect("begun").region_close.expect("set")
}

/// People with 100000 fen of prior years each: 650 fen of interest.
fn people(server: &TestServer, count: u32) -> Vec<String> {
    (1..=count).map(|number| server.member(number, REGION, 100_000)).collect()
}

#[test]
fn the_answer_explains_the_interest() {
    for_each_store(|setup| {
        let server = setup.start();
        let son = people(&server, 1).remove(0);
        server.clock().set("2026-01-01T00:00:00+08:00");
        let closed = server.close_year(of_member("c", &son, 2025)).expect("closed");
        assert_eq!((closed.interest_fen, closed.replayed, closed.region_close), (650, false, None));
        let explanation = closed.explanation.expect("full by itself");
        let step = |rule: &str| explanation.steps.iter().find(|step| step.rule_id == rule).expect("a step");
        let prior = step("interest.prior_years");
        let rounding = prior.rounding.as_ref().expect("each rounding is told");
        assert_eq!((prior.operation.as_str(), rounding.mode.as_str()), ("100000 × 0.0065 = 650", "HALF_UP_FEN"));
        assert_eq!(prior.parameters[0].name, "year_interest");
        assert_eq!(prior.parameters[0].grade, proto::Grade::Demo as i32);
        assert_eq!(step("interest.total").operation, "0 + 650 = 650");
        // The same id again is the same outcome, for the region or another year it is another content.
        let again = server.close_year(of_member("c", &son, 2025)).expect("found");
        assert!(again.replayed);
        let reused = "AlreadyExists REQUEST_ID_REUSED";
        assert_eq!(failed(server.close_year(of_member("c", &son, 2024))), reused);
        assert_eq!(failed(server.close_year(of_region("c", REGION, 2025))), reused);
        assert_eq!(failed(server.close_year(of_member("d", &son, 2025))), "FailedPrecondition YEAR_NOTHING_TO_CLOSE");
    });
}

#[test]
fn bad_requests_and_second_closes_are_refused() {
    let server = Setup::memory().start();
    let son = people(&server, 1).remove(0);
    let bad = "InvalidArgument INVALID_FIELDS";
    let rows = [
        (proto::CloseYearRequest::default(), format!("{bad} of request_id year")),
        (of_member("a", "mem_1", 0), format!("{bad} member.member_id year")),
        (of_region("a", "44030", 10_000), format!("{bad} region_code year")),
        (of_region("a", REGION, 2025), "FailedPrecondition YEAR_NOT_OVER".to_owned()),
        (of_region("a", "440000", 2024), format!("{bad} region_code")),
        (of_region("a", REGION, 1990), "NotFound REGION_NOT_FOUND".to_owned()),
        (of_member("a", &son, 2025), "FailedPrecondition YEAR_NOT_OVER".to_owned()),
    ];
    for (place, (request, expected)) in rows.into_iter().enumerate() {
        assert_eq!(failed(server.close_year(request)), expected, "row {place}");
    }
    let asked = proto::GetYearCloseRequest { region_code: REGION.to_owned(), year: 2024, min_ledger_position: 0 };
    assert_eq!(failed(server.get_year_close(asked.clone())), "NotFound YEAR_CLOSE_NOT_FOUND");
    let begun = server.close_year(of_region("a", REGION, 2024)).expect("begun");
    assert_eq!(begun.region_close.expect("set").state(), proto::YearCloseState::Running);
    assert!(server.close_year(of_region("a", REGION, 2024)).expect("found").replayed);
    assert_eq!(failed(server.close_year(of_region("b", REGION, 2024))), "FailedPrecondition YEAR_CLOSE_RUNNING");
    let later = proto::GetYearCloseRequest { min_ledger_position: 1_000, ..asked };
    assert_eq!(failed(server.get_year_close(later)), "FailedPrecondition POSITION_NOT_REACHED");
}

#[test]
fn values_of_a_refused_grade_close_nothing() {
    let server = Setup::memory().with(|config| config.refuse_grade = "demo".to_owned()).start();
    let son = people(&server, 1).remove(0);
    server.clock().set("2026-01-01T00:00:00+08:00");
    assert_eq!(failed(server.close_year(of_member("c", &son, 2025))), "FailedPrecondition GRADE_REFUSED");
    server.close_year(of_region("r", REGION, 2025)).expect("begun");
    let ledger = server.ledger();
    while server.wait(ledger.year_close_step(region(), 2025, 8)).expect("a step").is_open() {}
    let done = progress(&server);
    assert_eq!((done.accounts_closed, done.accounts_refused, done.interest_fen), (0, 1, 0));
    assert_eq!(server.balances(&son), (0, 100_000));
}

/// A store that is gone after so many more commits.
struct Breaking {
    inner: MemoryStore,
    left: AtomicU64,
}

impl Around for Breaking {
    fn inner(&self) -> &dyn Store {
        &self.inner
    }

    fn commit(&self, changes: Vec<Change>, now: Moment) -> StoreFuture<'_, Vec<Result<Committed, CommitError>>> {
        if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err() {
            let gone = changes.iter().map(|_| Err(CommitError::NotApplied(StoreError::Unavailable)));
            return Box::pin(std::future::ready(gone.collect()));
        }
        self.inner.commit(changes, now)
    }
}

/// How often interest was posted to an account.
fn interests(server: &TestServer, member: &str) -> usize {
    let request = proto::ListEntriesRequest { member: by_id(member), ..Default::default() };
    let entries = server.list_entries(request).expect("entries").entries;
    entries.iter().filter(|entry| entry.kind() == proto::EntryKind::Interest).count()
}

/// A change is whole or not at all, so a kill falls between two of them: here between any two of a close of seven accounts.
/// Another server goes on, which takes as many in a step, or fewer, or more: each account is closed once, each counted once.
#[test]
fn a_close_that_is_broken_off_anywhere_goes_on() {
    const PEOPLE: u32 = 7;
    for (first, second) in [(3, 3), (5, 2), (2, 5)] {
        // The beginning, seven accounts, the steps and the last that finds no more.
        for commits in 0..1 + PEOPLE + PEOPLE.div_ceil(first) + 1 {
            let store =
                Arc::new(Wrapped(Breaking { inner: MemoryStore::new([7; 32], 1_000), left: AtomicU64::new(u64::MAX) }));
            let server = Setup::over(store.clone()).start();
            let people = people(&server, PEOPLE);
            server.clock().set("2026-01-01T00:00:00+08:00");
            store.left.store(commits.into(), Ordering::SeqCst);
            let ledger = server.ledger();
            let all = |most: u32| {
                server.wait(async {
                    let mut close = ledger.year_close_by_hand(region(), 2025).await?;
                    while close.is_open() {
                        close = ledger.year_close_step(region(), 2025, most as usize).await?;
                    }
                    Ok::<_, Failure>(close)
                })
            };
            let case = format!("{commits} commits in steps of {first}, then of {second}");
            assert_eq!(all(first), Err(Failure::StoreUnavailable), "{case}");
            store.left.store(u64::MAX, Ordering::SeqCst);
            all(second).expect("it goes on");
            let done = progress(&server);
            let told = (done.state(), done.accounts_closed, done.accounts_without, done.interest_fen, done.round);
            assert_eq!(told, (proto::YearCloseState::Done, PEOPLE.into(), 0, 650 * i64::from(PEOPLE), 1), "{case}");
            for member in &people {
                assert_eq!((server.balances(member), interests(&server, member)), ((0, 100_650), 1));
            }
        }
    }
}

#[test]
fn a_server_closes_a_region_beside_settlements_and_after_a_restart() {
    for_each_store(|setup| {
        // Slow enough to settle in between, whatever the machine.
        let mut server = setup.with(|config| config.close_year_per_second = 200).start();
        let people = people(&server, 60);
        let mother = server.member(100, REGION, 0);
        for son in &people[..3] {
            server.bind(son, &mother);
        }
        server.clock().set("2026-01-01T09:00:00+08:00");
        server.close_year(of_region("r", REGION, 2025)).expect("begun");
        let mut paid = 0;
        for number in 0..40 {
            if number == 20 {
                server.restart();
            }
            let visit = proto::Visit { visit_date: "2026-01-01".to_owned(), ..visit() };
            let request = proto::SettleRequest { visit: Some(visit), ..settle(&format!("s-{number}"), &mother, 1_000) };
            let settled = server.settle(request).expect("settled").settlement.expect("set");
            paid += settled.amounts.expect("set").mutual_aid_fen;
        }
        let done = wait_until("the close", PATIENCE, || {
            Some(progress(&server)).filter(|close| close.state() == proto::YearCloseState::Done)
        });
        // The mother's year is closed too, with nothing to add.
        assert_eq!((done.accounts_closed, done.accounts_without, done.interest_fen), (61, 0, 60 * 650));
        let total: i64 =
            people.iter().map(|member| server.balances(member)).map(|(current, prior)| current + prior).sum();
        assert_eq!((paid, total), (40_000, 60 * 100_650 - 40_000));
    });
}
