//! The suite is tested: stores that are wrong on purpose, each in its own way, and each caught by the check that is named
//! beside it. They are wrappers around a right store (`right.rs`), which passes every check itself.
//!
//! `GONGJI_CANARIES=1 cargo test --test suite store::canaries -- --nocapture` runs the whole suite on each of them instead of
//! that one check, and prints the table: canary, law, and every check that caught it.

pub mod bend;
pub mod right;
mod table;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{CHECKS, Check, Harness, laws};
use crate::process::from_env;
use bend::Bend;
use right::Right;
use table::CANARIES;

/// Which of these checks a store with this fault fails, by name.
fn failed(bend: Bend, checks: impl Iterator<Item = &'static Check>) -> Vec<&'static str> {
    let fails = |check: &&Check| {
        let run = || (check.run)(&mut Harness::over(Right::bent(bend)));
        catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    checks.filter(fails).map(|check| check.name).collect()
}

#[test]
fn the_right_store_passes_every_check() {
    assert_eq!(failed(Bend::default(), CHECKS.iter()), Vec::<&str>::new());
}

#[test]
fn every_canary_is_caught_by_name() {
    assert!(CANARIES.len() >= 25, "as many as were promised");
    let all = from_env("GONGJI_CANARIES", 0) > 0;
    let mut wrong = Vec::new();
    for canary in CANARIES {
        let caught = failed(canary.bend, CHECKS.iter().filter(|check| all || check.name == canary.caught_by));
        println!("{} (law {}): {}", canary.what, canary.law, caught.join(" "));
        if !caught.contains(&canary.caught_by) {
            wrong.push(format!("\"{}\" is not caught by {}, but by {caught:?}", canary.what, canary.caught_by));
        }
        if !canary.caught_by.starts_with(&format!("law_{}_", canary.law)) {
            wrong
                .push(format!("\"{}\" breaks law {}, {} does not guard it", canary.what, canary.law, canary.caught_by));
        }
    }
    let laws_broken: BTreeSet<usize> = CANARIES.iter().map(|canary| canary.law).collect();
    assert_eq!(laws_broken.into_iter().collect::<Vec<_>>(), (1..=laws().len()).collect::<Vec<_>>(), "each law has one");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
