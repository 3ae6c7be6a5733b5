//! How dear a calculation is, beside a yardstick in the same run, the SHA-256 of one KiB. Prints medians of rounds, and beside the
//! data-driven function of a whole population whether it is what is wanted; asserts nothing about speed.
//!
//! `cargo bench --bench calculate`

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark reads the clock and prints"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gongji::domain::calc::contribution::{self, Employee};
use gongji::domain::calc::number::{Factor, Month};
use gongji::domain::calc::pension::{self, Pensioner, Record};
use gongji::domain::calc::plan::{Columns, INSURANCES, Plan};
use gongji::domain::calc::retirement::{self, Worker};
use gongji::domain::calc::trace::{Level, Trace};
use gongji::domain::calc::words::RetirementClass;
use gongji::domain::ids::RegionCode;
use gongji::domain::money::Money;
use gongji::policy::{self, PolicyFiles};
use jiff::civil::date;
use rust_decimal::{Decimal, RoundingStrategy};
use sha2::{Digest, Sha256};

const ROUNDS: usize = 9;
/// Persons of one column, and of one million.
const CHUNK: usize = 1_024;
const PERSONS: usize = 1_000_000;
/// Persons a second on one core.
const WANTED: u128 = 3_000_000;

fn main() {
    let book = policy::load(&PolicyFiles::embedded()).expect("the built-in policies load");
    let law = book.calculation.law(RegionCode::parse("310000").unwrap(), date(2025, 8, 1)).expect("tables");
    let employee = |wage: i64| Employee {
        wage: Money::fen(wage),
        base_wage: Money::fen(wage),
        average_wage: None,
        injury_class: Some(4),
        injury_float: None,
        housing_person: None,
        housing_unit: None,
        compared: None,
    };
    let plan = contribution::calculate(&law, &employee(1), &mut Trace::new(Level::None)).expect("a plan").plan;
    let wages: Vec<i64> = (0..PERSONS as i64).map(|number| 200_000 + number * 7_919 % 4_000_000).collect();

    let block = [7_u8; 1024];
    report("SHA-256 of 1 KiB", 20_000, || {
        for _ in 0..20_000 {
            black_box(Sha256::digest(black_box(block)));
        }
    });
    let mut columns = Columns::default();
    let columns_a_second = report("five insurances and fund, column by column", PERSONS, || {
        for chunk in wages.chunks(CHUNK) {
            plan.columns(black_box(chunk), &mut columns);
            black_box(&columns);
        }
    });
    let told = if columns_a_second >= WANTED { "pass" } else { "FAIL" };
    println!("    wanted {WANTED} a second on one core: {told}");
    report("the same, person by person", PERSONS, || {
        for wage in &wages {
            let base = plan.base(black_box(*wage));
            black_box(plan.parts(base));
        }
    });
    report("the same, from the tables each time", PERSONS / 10, || {
        for wage in &wages[..PERSONS / 10] {
            black_box(contribution::calculate(&law, &employee(*wage), &mut Trace::new(Level::None)).unwrap());
        }
    });
    report("the same, with every step", PERSONS / 100, || {
        for wage in &wages[..PERSONS / 100] {
            let mut trace = Trace::new(Level::Full);
            black_box(contribution::calculate(&law, &employee(*wage), &mut trace).unwrap());
        }
    });
    report("the same in rust_decimal, rates compiled in", PERSONS / 10, || {
        for wage in &wages[..PERSONS / 10] {
            black_box(by_decimal(&plan, *wage));
        }
    });
    let chongqing = book.calculation.law(RegionCode::parse("500000").unwrap(), date(2026, 1, 1)).expect("tables");
    report("pension", PERSONS / 10, || {
        for wage in &wages[..PERSONS / 10] {
            let input = Pensioner {
                age_months: 721,
                base: None,
                record: Record::Summary { index: Factor::from_millionths(*wage), paid: 300, deemed: 60 },
                months_before_accounts: 60,
                balance: Money::fen(*wage),
            };
            black_box(pension::calculate(&chongqing, &input, &mut Trace::new(Level::None)).unwrap());
        }
    });
    report("retirement", PERSONS / 10, || {
        for number in 0..PERSONS / 10 {
            let input = Worker {
                class: RetirementClass::Male,
                birth: Month::new(1965, 1).plus(u32::try_from(number % 240).unwrap()),
                birth_day: None,
                category: None,
                paid: None,
                still_paying: false,
            };
            black_box(retirement::calculate(&law, &input, &mut Trace::new(Level::None)).unwrap());
        }
    });
}

/// What a decimal library makes of one person.
fn by_decimal(plan: &Plan, wage: i64) -> Decimal {
    let base = Decimal::from(wage.clamp(plan.lower, plan.upper));
    let mut total = Decimal::ZERO;
    for place in 0..INSURANCES {
        for rate in [plan.person[place], plan.unit[place]] {
            let exact = base * Decimal::new(rate, 6);
            total += exact.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
        }
    }
    total
}

/// How many a second.
fn report(name: &str, calls: usize, mut run: impl FnMut()) -> u128 {
    run();
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    let nanos = times[ROUNDS / 2].as_nanos().max(1);
    let calls = calls as u128;
    println!(
        "{name:<44} {:>8}.{:02} ns   {:>12} a second",
        nanos / calls,
        nanos * 100 / calls % 100,
        calls * 1_000_000_000 / nanos
    );
    calls * 1_000_000_000 / nanos
}
