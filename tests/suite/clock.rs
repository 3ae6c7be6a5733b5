//! The real program under a clock that a file sets: what time alone changes, to the microsecond, while it serves and while
//! it is down. The clock stands until the file is written again, so nothing here waits for an hour to pass.
//!
//! Needs the feature: `cargo test --features test-clock --test suite clock::`.

use std::fs;
use std::path::PathBuf;

use gongji::grpc::proto;
use gongji::grpc::proto::account_service_client::AccountServiceClient;
use gongji::grpc::proto::ledger_service_client::LedgerServiceClient;
use gongji::grpc::proto::member_ref::Ref;
use gongji::grpc::proto::settlement_service_client::SettlementServiceClient;
use tempfile::TempDir;

use super::process::{PATIENCE, Server, check_ledger, gongji, run, wait_until};

const MOTHER: &str = "440305195304120021";
const DAUGHTER: &str = "440305197809150030";
const SON: &str = "440305198003210043";
const HOSPITAL: &str = "H44030001";

/// The demonstration's family on a durable store, under a clock of its own.
struct Program {
    folder: TempDir,
    server: Server,
    options: Vec<&'static str>,
}

impl Program {
    fn at(instant: &str, options: &[&'static str]) -> Self {
        let folder = TempDir::new().expect("a folder");
        set(&folder, instant);
        let server = start(&folder, options);
        Self { folder, server, options: options.to_vec() }
    }

    fn set(&self, instant: &str) {
        set(&self.folder, instant);
    }

    /// `kill -9`; it is down while the clock moves.
    fn down_until(self, instant: &str) -> Self {
        let Self { folder, server, options } = self;
        server.kill();
        set(&folder, instant);
        let server = start(&folder, &options);
        Self { folder, server, options }
    }

    fn hold(&self, request_id: &str, seconds: i64) -> proto::Settlement {
        let line = proto::Line {
            line_id: "1".to_owned(),
            item_code: "T120400".to_owned(),
            category: proto::ItemCategory::Treatment as i32,
            list_class: proto::ListClass::A as i32,
            amount_fen: 60_000,
            ..Default::default()
        };
        let request = proto::HoldSettlementRequest {
            request_id: request_id.to_owned(),
            institution_code: HOSPITAL.to_owned(),
            patient: Some(person(MOTHER)),
            visit: Some(proto::Visit {
                institution_kind: proto::InstitutionKind::Level3 as i32,
                care_region_code: "440300".to_owned(),
                purpose: proto::Purpose::Outpatient as i32,
                visit_date: "2026-06-01".to_owned(),
                external_refs: None,
            }),
            bill: Some(proto::Bill { total_fen: 60_000, lines: vec![line], adjudicated: None }),
            hold_for: Some(prost_types::Duration { seconds, nanos: 0 }),
            ..Default::default()
        };
        run(async {
            let mut client = SettlementServiceClient::new(self.server.channel().await);
            client.hold_settlement(request).await.expect("held").into_inner().settlement.expect("a settlement")
        })
    }

    fn state(&self, settlement: &proto::Settlement) -> proto::SettlementState {
        let key = proto::get_settlement_request::Key::SettlementId(settlement.settlement_id.clone());
        run(async {
            let mut client = SettlementServiceClient::new(self.server.channel().await);
            let request = proto::GetSettlementRequest { key: Some(key), ..Default::default() };
            client.get_settlement(request).await.expect("found").into_inner().settlement.expect("a settlement").state()
        })
    }

    /// Posted, held, available of a bucket.
    fn bucket(&self, id_number: &str, bucket: proto::Bucket) -> [i64; 3] {
        run(async {
            let mut client = AccountServiceClient::new(self.server.channel().await);
            let request = proto::GetAccountRequest { member: Some(person(id_number)), ..Default::default() };
            let account = client.get_account(request).await.expect("found").into_inner().account.expect("an account");
            let found = account.buckets.iter().find(|found| found.bucket() == bucket).expect("every bucket is told");
            [found.posted_fen, found.held_fen, found.available_fen]
        })
    }

    fn head(&self) -> i64 {
        run(async {
            let mut client = LedgerServiceClient::new(self.server.channel().await);
            let head = client.get_head(proto::GetHeadRequest::default()).await.expect("a head").into_inner().head;
            head.expect("a head").position
        })
    }

    fn sound(&self) {
        run(async { check_ledger(self.server.channel().await).await });
    }
}

fn set(folder: &TempDir, instant: &str) {
    // Whole or not at all, as the program may be reading.
    let new = folder.path().join("clock.new");
    fs::write(&new, instant).expect("written");
    fs::rename(new, clock(folder)).expect("renamed");
}

fn clock(folder: &TempDir) -> PathBuf {
    folder.path().join("clock")
}

fn start(folder: &TempDir, options: &[&str]) -> Server {
    let data = folder.path().join("data");
    let data = data.to_str().expect("a plain path");
    let mut command = gongji(&[&["serve", "--demo", "--data-dir", data], options].concat());
    command.env("GONGJI_TEST_CLOCK", clock(folder));
    Server::start(command)
}

fn person(id_number: &str) -> proto::MemberRef {
    proto::MemberRef { r#ref: Some(Ref::IdNumber(id_number.to_owned())) }
}

/// Nobody sweeps: what is asked for is right all the same.
const NO_SWEEP: [&str; 2] = ["--hold-sweep-ms", "0"];

#[test]
fn a_hold_ends_at_its_instant_while_the_program_is_down() {
    let program = Program::at("2026-06-01T10:00:00+08:00", &NO_SWEEP);
    let prior = proto::Bucket::PriorYears;
    let before = [SON, DAUGHTER].map(|owner| program.bucket(owner, prior));
    let held = program.hold("hold-1", 600);
    assert!(held.held_fen > 0, "{held:?}");
    let during = [SON, DAUGHTER].map(|owner| program.bucket(owner, prior));
    let [posted, set_aside, available] = during[0];
    assert_eq!((posted, available), (before[0][0], before[0][0] - set_aside));
    assert!(set_aside > 0, "the larger account pays first: {during:?}");
    let program = program.down_until("2026-06-01T10:09:59.999999+08:00");
    assert_eq!(program.state(&held), proto::SettlementState::Held);
    assert_eq!([SON, DAUGHTER].map(|owner| program.bucket(owner, prior)), during);
    let program = program.down_until("2026-06-01T10:10:00+08:00");
    assert_eq!(program.state(&held), proto::SettlementState::Expired);
    assert_eq!([SON, DAUGHTER].map(|owner| program.bucket(owner, prior)), before);
    // The same money can be held again, and nothing was counted twice.
    let again = program.hold("hold-2", 600);
    assert_eq!(again.held_fen, held.held_fen);
    assert_eq!([SON, DAUGHTER].map(|owner| program.bucket(owner, prior)), during);
    program.sound();
}

#[test]
fn a_hold_that_nobody_asks_about_is_ended_in_the_ledger() {
    let program = Program::at("2026-06-01T10:00:00+08:00", &["--hold-sweep-ms", "5"]);
    let held = program.hold("hold-1", 60);
    let position = program.head();
    program.set("2026-06-01T10:01:00+08:00");
    wait_until("the end of the hold", PATIENCE, || (program.head() > position).then_some(()));
    assert_eq!(program.state(&held), proto::SettlementState::Expired);
    program.sound();
}

#[test]
fn the_year_turns_at_midnight_whether_it_serves_or_not() {
    let (current, prior) = (proto::Bucket::CurrentYear, proto::Bucket::PriorYears);
    let buckets = |program: &Program| [current, prior].map(|bucket| program.bucket(SON, bucket)[2]);
    for down in [false, true] {
        let program = Program::at("2026-12-31T23:59:59.999999+08:00", &[]);
        let [of_year, of_before] = buckets(&program);
        assert!(of_year > 0 && of_before > 0);
        let program = if down {
            program.down_until("2027-01-01T00:00:00+08:00")
        } else {
            program.set("2027-01-01T00:00:00+08:00");
            program
        };
        assert_eq!(buckets(&program), [0, of_year + of_before], "down: {down}");
        program.sound();
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_earlier_record() {
    let program = Program::at("2026-06-01T10:00:00+08:00", &NO_SWEEP);
    program.hold("hold-1", 600);
    let program = program.down_until("2026-06-01T09:00:00+08:00");
    let held = program.hold("hold-2", 600);
    let times = run(async {
        let mut client = LedgerServiceClient::new(program.server.channel().await);
        let request = proto::ListRecordsRequest { from_position: 1, page_size: 500, ..Default::default() };
        let records = client.list_records(request).await.expect("records").into_inner().records;
        records.iter().map(|record| record.committed_at.map(|at| (at.seconds, at.nanos))).collect::<Vec<_>>()
    });
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(program.state(&held), proto::SettlementState::Held);
    program.sound();
}
