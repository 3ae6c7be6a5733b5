//! Law 13: a change with an end is true before it or never.

use gongji::store::{Change, CommitError, ListKind};

use super::harness::*;

pub fn law_13_a_change_with_an_end_is_true_before_it_or_never(harness: &mut Harness) {
    let store = harness.store();
    let ending = |number: u128, end: i64| Change { before: Some(at(end)), ..change(0, &[], &[(number, 10)]) };
    let commit = |change: Change, now: i64| block_on(store.commit(vec![change], at(now))).pop().expect("a verdict");
    assert_eq!(commit(ending(1, 101), 100).map(|done| done.at), Ok(at(100)));
    assert_eq!(commit(ending(2, 101), 101), Err(CommitError::Conflict));
    assert_eq!(commit(ending(2, 101), 500), Err(CommitError::Conflict));
    let facts = store.look(&[account_key(1), account_key(2)]);
    assert_eq!((fen_of(&facts, 0), fen_of(&facts, 1), store.head_now().position), (Some(10), None, 1));
}

pub fn law_13_the_end_is_judged_by_the_time_of_the_record(harness: &mut Harness) {
    let store = harness.store();
    let commit = |change: Change, now: i64| block_on(store.commit(vec![change], at(now))).pop().expect("a verdict");
    commit(change(0, &[], &[(1, 10)]), 1_000).expect("applied");
    // Another clock is behind: time never runs backwards, so this record's would be 1000 too.
    let late = Change { before: Some(at(1_000)), ..change(0, &[], &[(2, 10)]) };
    assert_eq!(commit(late.clone(), 900), Err(CommitError::Conflict));
    assert_eq!(commit(Change { before: Some(at(1_001)), ..late }, 900).map(|done| done.at), Ok(at(1_000)));
}

pub fn law_13_a_passed_end_leaves_nothing(harness: &mut Harness) {
    let key = list(ListKind::HoldsOfDay, 1);
    harness.store().put(1, 10);
    let head = harness.store().head_now();
    let late = listed(with_request(ending(change(1, &[(account_key(1), 1)], &[(1, 11)]), 900), 1), &[(key, 1)]);
    assert_eq!(harness.store().try_one(late), Err(CommitError::Conflict));
    for _ in 0..2 {
        let facts = harness.store().look(&[account_key(1), request_key(1)]);
        assert_eq!((versions(&facts), fen_of(&facts, 0)), (vec![1, 0], Some(10)));
        assert_eq!((harness.store().head_now(), harness.store().rows(key, 0, 9, 9)), (head, vec![]));
        harness.reopen();
    }
}

pub fn law_13_a_taken_request_is_told_before_a_passed_end(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[]), 1));
    assert_eq!(store.try_one(ending(with_request(change(0, &[], &[]), 1), 5)), Err(CommitError::Duplicate));
}

pub fn law_13_each_change_of_a_list_has_its_own_end(harness: &mut Harness) {
    let ends = [1_001, 1_000, 2_000, 0, 999, i64::MAX];
    let list = ends.iter().map(|end| ending(change(0, &[], &[]), *end)).collect();
    let late = Err(CommitError::Conflict);
    assert_eq!(verdicts(harness.store(), list), [Ok(1), late, Ok(2), late, late, Ok(3)]);
}

pub fn law_13_the_end_is_judged_by_the_last_record_after_reopening(harness: &mut Harness) {
    harness.store().try_at(change(0, &[], &[]), 5_000).expect("applies");
    harness.reopen();
    let seen = harness.store().head_now().position;
    let ends = |end| ending(change(seen, &[], &[]), end);
    assert_eq!(harness.store().try_at(ends(5_000), 100), Err(CommitError::Conflict));
    assert_eq!(harness.store().try_at(ends(5_001), 100).map(|done| done.at), Ok(at(5_000)));
}

pub fn law_13_without_an_end_any_time_will_do(harness: &mut Harness) {
    for now in [0, 4_102_444_800_000_000, 1] {
        assert!(harness.store().try_at(change(0, &[], &[]), now).is_ok());
    }
}

pub fn law_13_a_refused_end_does_not_move_time(harness: &mut Harness) {
    let store = harness.store();
    store.try_at(change(0, &[], &[]), 100).expect("applies");
    assert_eq!(store.try_at(ending(change(0, &[], &[]), 200), 9_000), Err(CommitError::Conflict));
    assert_eq!(store.try_at(change(0, &[], &[]), 150).map(|done| done.at), Ok(at(150)));
}
