//! `kill -9` in the middle of work that is many changes: the close of a region's year, and an import. Begun again, each
//! account and each row has one effect. No clock decides when to kill: what the ledger holds by then does.
//!
//! `GONGJI_BREAKS=50 cargo test --test suite broken_off::` breaks each off 50 times instead of 4; `GONGJI_SEED=…` takes that
//! seed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use gongji::config::{Config, Given};
use gongji::domain::identity::IdNumber;
use gongji::domain::ids::{MemberId, RegionCode, RequestId};
use gongji::domain::member::{Insurance, MemberRef, Person};
use gongji::domain::money::Money;
use gongji::domain::record::{CreditKind, Event};
use gongji::domain::time::Moment;
use gongji::domain::vocabulary::{Bucket, InsuranceState, Scheme};
use gongji::grpc::proto;
use gongji::grpc::proto::account_service_client::AccountServiceClient;
use gongji::grpc::proto::import_result::Result as Came;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use gongji::grpc::proto::member_service_client::MemberServiceClient;
use gongji::ledger::accounts::CreditAccount;
use gongji::ledger::members::CreateMember;
use gongji::ledger::source::{RandomIds, ShiftedClock};
use gongji::ledger::{Caller, Ledger};
use gongji::store::Store;
use gongji::store::embedded::EmbeddedOptions;
use gongji::store::record::decode_record;
use jiff::civil::{date, time};
use tempfile::TempDir;
use tonic::transport::Channel;

use super::kills::{Op, credit, person};
use super::process::{
    Dice, PATIENCE, Replay, Server, check_ledger, ended, from_env, gongji, id_number, run, signal, wait_until,
};
use super::store::opened;
use super::support::book;

const REGION: &str = "440300";
const YEAR: i16 = 2025;
const PEOPLE: usize = 600;
/// What each has at the year's end, and what it bears (policies, key `year_interest`).
const BALANCE: i64 = 100_000;
const INTEREST: i64 = 650;

/// Somebody with an account.
pub fn created(number: usize) -> CreateMember {
    let insurance = Insurance {
        scheme: Scheme::Employee,
        tier: "1".to_owned(),
        state: InsuranceState::Normal,
        region: RegionCode::parse(REGION).expect("a code"),
        has_account: true,
        start: date(2015, 1, 1),
    };
    let person = Person {
        member: MemberId::from_u128(0),
        name: format!("人{number}"),
        id_number: IdNumber::parse(&id_number(number)).expect("an id number"),
        card_number: format!("CARD-{number}"),
        personal_number: String::new(),
        computer_number: String::new(),
    };
    let caller = Caller { scope: "caller".to_owned(), may_reveal: false };
    let request_id = RequestId::parse(&format!("person-{number}")).expect("a request id");
    CreateMember { caller, request_id, person, insurance, card_active: true, issuing_bank: String::new() }
}

/// A data set of the year before: so many people, each with money of prior years.
async fn people_of_then(dir: &Path) {
    let store = opened(&EmbeddedOptions::new(dir, [5; 32]));
    let then = Moment::of_civil(date(YEAR, 6, 1), time(9, 0, 0, 0));
    let limits = Config::read(Given::default(), None, true).expect("the defaults are good").ledger_limits();
    let (clock, ids) = (Arc::new(ShiftedClock::starting_at(then)), Arc::new(RandomIds::from_seed(7)));
    let ledger = Ledger::new(store.clone(), book(), clock, ids, limits);
    let one = async |number: usize| {
        let create = created(number);
        let id = |kind: &str| RequestId::parse(&format!("{kind}-{number}")).expect("a request id");
        let caller = create.caller.clone();
        let member = ledger.run(&create).await.expect("a person").outcome.member.id;
        let (member, bucket, kind) = (MemberRef::Id(member), Bucket::PriorYears, CreditKind::Monthly);
        let (request_id, amount, note) = (id("credit"), Money::fen(BALANCE), String::new());
        ledger.run(&CreditAccount { caller, request_id, member, bucket, amount, kind, note }).await.expect("a credit");
    };
    stream::iter(0..PEOPLE).map(one).buffer_unordered(128).collect::<Vec<()>>().await;
    drop(ledger);
    store.close().await.expect("it closes");
}

async fn head(channel: &Channel) -> i64 {
    let head = LedgerServiceClient::new(channel.clone()).get_head(proto::GetHeadRequest::default()).await;
    head.expect("a head").into_inner().head.expect("set").position
}

/// Asks until the ledger is so long.
async fn until_head(channel: &Channel, position: i64) {
    while head(channel).await < position {
        tokio::task::yield_now().await;
    }
}

/// How often each account's year was closed, and that each bore what it bears.
fn closes(dir: &Path) -> BTreeMap<MemberId, u32> {
    let store = opened(&EmbeddedOptions::new(dir, [5; 32]));
    let mut closed = BTreeMap::new();
    run(async {
        let records = store.records(1, usize::MAX).await.expect("records");
        for stored in &records {
            if let Event::YearClosed { after, interest, .. } = decode_record(&stored.bytes).expect("a record").event {
                assert_eq!((interest.as_fen(), after.prior.as_fen()), (INTEREST, BALANCE + INTEREST));
                *closed.entry(after.member).or_default() += 1;
            }
        }
        store.close().await.expect("it closes");
    });
    closed
}

/// By a server, which takes it up again when it starts, and to its end by hand: `gongji run close-year`, killed too.
#[test]
fn a_regions_close_that_is_killed_closes_each_account_once() {
    let breaks = from_env("GONGJI_BREAKS", 4);
    let seed = from_env("GONGJI_SEED", 0x6011_9e72);
    let _replay =
        Replay(format!("GONGJI_SEED={seed} GONGJI_BREAKS={breaks} cargo test --test suite broken_off::a_regions"));
    let mut dice = Dice::new(seed);
    let dir = TempDir::new().expect("a directory");
    run(people_of_then(dir.path()));
    let begins = 2 * PEOPLE as i64 + 1;
    // Each kill in its own part of the way, the last of them by hand.
    let share = PEOPLE as i64 / i64::try_from(breaks + 1).expect("few");
    let more = ["--close-year-per-second", "2000"];
    for number in 0..breaks {
        let server = Server::on(dir.path(), &more);
        run(async {
            let channel = server.channel().await;
            if number == 0 {
                let of = Some(proto::close_year_request::Of::RegionCode(REGION.to_owned()));
                let (request_id, year) = ("close".to_owned(), YEAR.into());
                let request = proto::CloseYearRequest { request_id, of, year, explanation_view: 0 };
                AccountServiceClient::new(channel.clone()).close_year(request).await.expect("begun");
            }
            let until = begins + i64::try_from(number).expect("few") * share + dice.fen(share);
            until_head(&channel, until).await;
            let log = server.kill();
            assert!(!log.contains("panicked") && !log.contains("error_id"), "{log}");
        });
    }
    let data = dir.path().to_str().expect("a plain path");
    let by_hand = ["run", "close-year", "--region", REGION, "--year", "2025", "--data-dir", data];
    let size = || {
        let files = std::fs::read_dir(dir.path().join("data")).into_iter().flatten().flatten();
        files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum::<u64>()
    };
    let before = size();
    let mut child = gongji(&by_hand).spawn().expect("the program can be started");
    // Killed as soon as it writes; if it is done by then, that is no less.
    wait_until("its first write, or its end", PATIENCE, || {
        (size() != before || child.try_wait().expect("a child").is_some()).then_some(())
    });
    if child.try_wait().expect("a child").is_none() {
        signal(child.id(), "KILL");
    }
    child.wait().expect("a child can be waited for");
    let done = ended(gongji(&by_hand));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    let closed = closes(dir.path());
    assert_eq!(closed.len(), PEOPLE, "every account is closed: {said}");
    assert!(closed.values().all(|times| *times == 1), "each once");
    // The same line again begins another round, which finds nothing.
    let again = ended(gongji(&by_hand));
    let said = String::from_utf8_lossy(&again.stdout).into_owned();
    let nothing = format!("{REGION} {YEAR}: 0 accounts closed, 0 fen of interest; {PEOPLE} had nothing to close");
    assert!(again.status.success() && said.contains(&nothing), "{said}");
    assert_eq!(closes(dir.path()), closed);
    let server = Server::on(dir.path(), &[]);
    let report = run(async { check_ledger(server.channel().await).await });
    println!("{breaks} kills of a server and one by hand, seed {seed}: {} records", report.records_checked);
}

/// What a year's close refuses by hand is said in one line, and nothing is done.
#[test]
fn a_close_by_hand_says_what_is_wrong() {
    let dir = TempDir::new().expect("a directory");
    let data = dir.path().to_str().expect("a plain path");
    drop(Server::on(dir.path(), &[]));
    for (region, year, said) in [
        ("44", "2025", "--region: must be a six-digit code"),
        ("440300", "9000", "尚未结束"),
        ("440000", "2024", "is not the code of a pooling region"),
    ] {
        let output = ended(gongji(&["run", "close-year", "--region", region, "--year", year, "--data-dir", data]));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && told.contains(said) && !told.contains("panicked"),
            "{region} {year}: {told}"
        );
    }
}

/// The rows of one import, which is sent again as a whole.
#[derive(Clone)]
enum Rows {
    People(Vec<proto::CreateMemberRequest>),
    Credits(Vec<proto::CreditAccountRequest>),
}

impl Rows {
    fn len(&self) -> usize {
        match self {
            Self::People(rows) => rows.len(),
            Self::Credits(rows) => rows.len(),
        }
    }

    async fn send(self, channel: Channel) -> Result<Vec<proto::ImportResult>, tonic::Status> {
        match self {
            Self::People(rows) => {
                let rows = rows.into_iter().map(|row| proto::ImportMembersRequest { row: Some(row) });
                let done = MemberServiceClient::new(channel).import_members(stream::iter(rows)).await;
                done.map(|done| done.into_inner().results)
            }
            Self::Credits(rows) => {
                let rows = rows.into_iter().map(|row| proto::ImportCreditsRequest { row: Some(row) });
                let done = AccountServiceClient::new(channel).import_credits(stream::iter(rows)).await;
                done.map(|done| done.into_inner().results)
            }
        }
    }
}

#[test]
fn an_import_that_is_killed_has_each_row_once() {
    const ROWS: usize = 400;
    let breaks = from_env("GONGJI_BREAKS", 4);
    let seed = from_env("GONGJI_SEED", 0x6011_9e73);
    let _replay =
        Replay(format!("GONGJI_SEED={seed} GONGJI_BREAKS={breaks} cargo test --test suite broken_off::an_import"));
    let mut dice = Dice::new(seed);
    let dir = TempDir::new().expect("a directory");
    let (mut had, mut done_before, mut people, mut credited) = (0, 0, 0, 0);
    for number in 0..usize::try_from(breaks).expect("few") {
        let rows = if number % 2 == 0 {
            let rows = (0..ROWS).map(|_| {
                people += 1;
                match person(people, true) {
                    Op::Member(request) => request,
                    _ => unreachable!("it is a person"),
                }
            });
            Rows::People(rows.collect())
        } else {
            let rows = (0..ROWS).map(|row| {
                let amount = dice.fen(10_000);
                credited += amount;
                match credit(format!("import-{number}-{row}"), 1 + dice.roll(people), amount) {
                    Op::Credit(request) => request,
                    _ => unreachable!("it is a credit"),
                }
            });
            Rows::Credits(rows.collect())
        };
        let server = Server::on(dir.path(), &[]);
        let at_kill = 1 + i64::try_from(dice.roll(ROWS - 1)).expect("few");
        let first = run(async {
            let channel = server.channel().await;
            let sending = tokio::spawn(rows.clone().send(server.channel().await));
            until_head(&channel, had + at_kill).await;
            let log = server.kill();
            assert!(!log.contains("panicked") && !log.contains("error_id"), "{log}");
            sending.await.expect("no panic")
        });
        let server = Server::on(dir.path(), &[]);
        let (kept, again) = run(async {
            let channel = server.channel().await;
            (head(&channel).await, rows.clone().send(server.channel().await).await.expect("answered"))
        });
        assert!(kept >= had + at_kill, "what was seen as durable is there");
        let replayed =
            again.iter().filter(|result| matches!(&result.result, Some(Came::Imported(row)) if row.replayed));
        assert_eq!(replayed.count() as i64, kept - had, "what had been done is found done, and nothing else");
        assert!(
            again.iter().all(|result| matches!(result.result, Some(Came::Imported(_)))),
            "every row has its effect"
        );
        assert_eq!(again.len(), rows.len(), "a result for each row");
        if let Ok(first) = first {
            assert_eq!(first.len(), rows.len(), "an import that was answered was answered whole");
        }
        done_before += kept - had;
        had = run(async { head(&server.channel().await).await });
        let report = run(async { check_ledger(server.channel().await).await });
        assert_eq!(report.records_checked, had);
        assert!(server.terminate().0.success());
    }
    let rows = ROWS as i64 * i64::try_from(breaks).expect("few");
    assert_eq!(had, rows, "each row is one change");
    // What all accounts hold is what all rows credited.
    let server = Server::on(dir.path(), &[]);
    let held: i64 = run(async {
        let mut client = AccountServiceClient::new(server.channel().await);
        let mut held = 0;
        for number in 1..=people {
            let request = proto::GetAccountRequest { member: super::kills::reference(number), ..Default::default() };
            let account = client.get_account(request).await.expect("an account").into_inner().account.expect("set");
            held += account.buckets.iter().map(|bucket| bucket.posted_fen).sum::<i64>();
        }
        held
    });
    assert_eq!(held, credited);
    println!(
        "{breaks} imports of {ROWS} rows killed, seed {seed}: {done_before} of {rows} rows had been done at a kill"
    );
}
