//! How long the policies take to load, and how long a look-up of (region, day) takes: medians, and whether they are what is
//! wanted. Asserts nothing.
//!
//! `cargo bench --bench policies`

#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a benchmark reads the clock and prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gongji::domain::ids::RegionCode;
use gongji::policy::{self, PolicyFiles};
use jiff::civil::{Date, date};

const ROUNDS: usize = 15;
const CALLS: u32 = 200_000;
const LOADING: Duration = Duration::from_millis(300);
const LOOKING: Duration = Duration::from_micros(1);

fn main() {
    let files = PolicyFiles::embedded();
    let loads = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        black_box(policy::load(black_box(&files)).expect("the built-in policies load"));
        began.elapsed()
    });
    let loading = median(loads.collect());
    let book = policy::load(&files).expect("the built-in policies load");
    let pools: Vec<RegionCode> =
        book.regions.iter().filter(|region| region.level.is_pool()).map(|region| region.code).collect();
    let days: Vec<Date> = (0..97_i16).map(|number| date(2000 + number % 27, 1 + (number % 12) as i8, 15)).collect();
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        for call in 0..CALLS as usize {
            black_box(book.policy(black_box(pools[call % pools.len()]), black_box(days[call % days.len()])));
        }
        began.elapsed() / CALLS
    });
    let looking = median(rounds.collect());
    let told = |found: Duration, wanted: Duration| if found <= wanted { "pass" } else { "FAIL" };
    println!("load all, {} pools: {loading:?} (wanted {LOADING:?}): {}", pools.len(), told(loading, LOADING));
    println!("look-up of (region, day): {looking:?} (wanted {LOOKING:?}): {}", told(looking, LOOKING));
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
