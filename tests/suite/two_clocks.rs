//! Two servers at New Year, whose clocks differ by up to a second each way: a day's and a year's cap hold in the days and years
//! of the ledger's records, in whatever order the two settle and give back.

use std::collections::BTreeMap;

use gongji::domain::time::Moment;
use gongji::grpc::proto;

use crate::process::{Dice, from_env};
use crate::support::*;

const PER_DAY: i64 = 5_000;
const PER_YEAR: i64 = 7_000;
const MIDNIGHT: i64 = 1_767_196_800_000_000;

/// One family, settled for by both; what was drawn by the day of its record.
fn play(server: &TestServer, seed: u64) {
    let mut dice = Dice::new(seed);
    let at = |micros: i64| server.clock().set(&Moment::from_micros(micros).to_string());
    at(MIDNIGHT - 3_600_000_000);
    let number = u32::try_from(seed % 400).expect("small");
    let mother = server.member(2 * number + 1, "440300", 0);
    let son = server.member(2 * number + 2, "440300", 1_000_000);
    let caps = proto::Caps { per_day_fen: Some(PER_DAY), per_year_fen: Some(PER_YEAR), ..Default::default() };
    server
        .create_binding(proto::CreateBindingRequest { caps: Some(caps), ..filing(&format!("b-{seed}"), &son, &mother) })
        .expect("bound");
    let mut drawn: BTreeMap<String, i64> = BTreeMap::new();
    let mut made: Vec<(String, String, i64)> = Vec::new();
    let mut micros = MIDNIGHT - 2_000_000;
    for number in 0..24 {
        micros += i64::try_from(dice.roll(400_000)).expect("small");
        let skew = i64::try_from(dice.roll(2_000_000)).expect("small") - 1_000_000;
        at(micros + skew);
        if dice.roll(5) == 0 && !made.is_empty() {
            let (id, day, fen) = made.swap_remove(dice.roll(made.len()));
            server.refund_settlement(refund_whole(&format!("r-{seed}-{number}"), &id)).expect("given back");
            *drawn.entry(day).or_default() -= fen;
            continue;
        }
        let visit = proto::Visit { visit_date: "2025-12-31".to_owned(), ..visit() };
        let request = settle(&format!("s-{seed}-{number}"), &mother, dice.fen(3_000));
        let done = server.settle(proto::SettleRequest { visit: Some(visit), ..request }).expect("settled");
        let from =
            proto::ListRecordsRequest { from_position: done.ledger_position, page_size: 1, ..Default::default() };
        let record = server.list_records(from).expect("a record").records.remove(0);
        let committed = record.committed_at.expect("set");
        let settled = done.settlement.expect("set");
        let micros = |time: &prost_types::Timestamp| time.seconds * 1_000_000 + i64::from(time.nanos / 1_000);
        let day = |time: &prost_types::Timestamp| Moment::from_micros(micros(time)).civil_day().to_string();
        let decided = day(&settled.create_time.expect("set"));
        assert_eq!(decided, day(&committed), "seed {seed}: decided on the day of its record");
        let fen = settled.amounts.expect("set").mutual_aid_fen;
        *drawn.entry(decided.clone()).or_default() += fen;
        made.push((settled.settlement_id, decided, fen));
        for year in ["2025", "2026"] {
            let of_year: i64 = drawn.iter().filter(|(day, _)| day.starts_with(year)).map(|(_, fen)| fen).sum();
            assert!(of_year <= PER_YEAR, "seed {seed}: {of_year} of {year} at call {number}");
        }
        let worst = drawn.values().max().copied().unwrap_or_default();
        assert!(worst <= PER_DAY, "seed {seed}: {drawn:?} at call {number}");
    }
}

#[test]
fn caps_hold_at_new_year_whatever_the_clocks_say() {
    let first = from_env("GONGJI_SEED", 1);
    println!("seeds from {first}");
    for seed in first..first + 40 {
        // A ledger each: its time never runs backwards.
        play(&Setup::memory().start(), seed);
    }
}
