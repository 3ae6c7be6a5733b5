//! The worked cases beside the law, run through the pure decision: no server, no store.

use gongji::policy::{PolicyFiles, cases};
use jiff::civil::date;

use crate::support::book;

#[test]
fn every_worked_case_comes_out_as_written() {
    let cases = cases::read(&PolicyFiles::embedded()).unwrap_or_else(|error| panic!("{error}"));
    let book = book();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let outcome = case.run(&book);
            let place = format!("{}:{}: {} on {}", case.file, case.line, case.name, case.on);
            (!outcome.passes())
                .then(|| format!("{place}\n  expected {}\n  found    {}", outcome.expected, outcome.found))
        })
        .collect();
    println!("{} cases", cases.len());
    assert!(cases.len() > 50, "the files were found");
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_pool_has_a_policy_for_every_day_of_every_revision() {
    let book = book();
    let (mut pools, mut revisions) = (0, 0);
    for region in book.regions.iter().filter(|region| region.level.is_pool()) {
        pools += 1;
        for policy in book.revisions(region.code) {
            revisions += 1;
            let first = policy.revision.start;
            assert_eq!(
                book.policy(region.code, first).map(|found| found.revision.digest),
                Some(policy.revision.digest)
            );
            let last = policy.revision.end.map(|end| end.yesterday().expect("a day"));
            let found = last.and_then(|last| book.policy(region.code, last));
            assert_eq!(
                found.map(|found| found.revision.digest),
                last.map(|_| policy.revision.digest),
                "{}",
                region.code
            );
        }
        assert!(book.policy(region.code, date(1998, 12, 13)).is_none(), "{}: no law before the first", region.code);
    }
    println!("{pools} pools, {revisions} revisions");
    assert!(pools > 300 && revisions > pools);
}

/// Those that stand, without the invented ones.
#[test]
fn the_readmes_tell_how_many_pools_there_are() {
    let book = book();
    let real = |code: &str| !code.starts_with("98");
    let standing = book
        .regions
        .iter()
        .filter(|region| region.level.is_pool() && region.valid_to.is_none() && real(&region.code.to_string()));
    let pools = standing.count();
    for (file, words) in [
        (include_str!("../../README.md"), format!("the law of {pools} pools")),
        (include_str!("../../README.zh-CN.md"), format!("{pools} 个统筹区")),
        (include_str!("../../CHANGELOG.md"), format!("Pools of the whole country ({pools})")),
    ] {
        assert!(file.contains(&words), "{words}");
    }
}

/// Every dated value has a case on its first day and one on the day before.
#[test]
fn every_change_of_a_value_has_a_case_on_both_sides() {
    let files = PolicyFiles::embedded();
    let cases = cases::read(&files).unwrap_or_else(|error| panic!("{error}"));
    let (values, sides) = cases::uncovered(&files, &cases);
    println!("{values} values, {} cases, {} sides of changes without a case", cases.len(), sides.len());
    let missing: Vec<String> = sides.iter().map(|side| format!("{} {} {}", side.folder, side.key, side.day)).collect();
    assert!(values > 100 && missing.is_empty(), "{} sides without a case\n{}", missing.len(), missing.join("\n"));
}

/// Every dated value is what some case that names it rests on: without it the case comes out otherwise.
#[test]
fn every_value_is_shown_by_a_case() {
    let files = PolicyFiles::embedded();
    let cases = cases::read(&files).unwrap_or_else(|error| panic!("{error}"));
    let (values, unshown) = cases::unshown(&files, &cases).unwrap_or_else(|error| panic!("{error}"));
    let lines = unshown.iter().map(|value| {
        let why = if value.restates { "restates what it extends" } else { "no case rests on it" };
        format!("{} {} {}: {why}", value.place, value.key, value.start)
    });
    let lines: Vec<String> = lines.collect();
    println!("{values} values taken out in turn, {} cases, {} values that none shows", cases.len(), lines.len());
    assert!(values > 100 && lines.is_empty(), "{} values that no case shows\n{}", lines.len(), lines.join("\n"));
}
