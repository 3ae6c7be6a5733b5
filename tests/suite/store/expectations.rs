//! Law 4: every expectation is compared.

use std::sync::atomic::{AtomicU64, Ordering};

use gongji::store::{CommitError, Key};

use super::harness::*;
use super::kinds;

pub fn law_4_a_version_that_has_moved_conflicts(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    let facts = store.look(&[account_key(1)]);
    store.put(1, 20);
    let late = change(facts.began_at, &[(account_key(1), facts.facts[0].version)], &[(1, 11)]);
    assert_eq!(store.try_one(late), Err(CommitError::Conflict));
    assert_eq!(fen_of(&store.look(&[account_key(1)]), 0), Some(20));
}

pub fn law_4_absence_is_expected_like_a_version(harness: &mut Harness) {
    let store = harness.store();
    let facts = store.look(&[account_key(1)]);
    let make = |fen| change(facts.began_at, &[(account_key(1), 0)], &[(1, fen)]);
    assert_eq!(store.one(make(10)), 1);
    assert_eq!(store.try_one(make(20)), Err(CommitError::Conflict));
}

pub fn law_4_presence_is_not_absence(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    assert_eq!(
        store.try_one(change(1, &[(account_key(2), 1)], &[(2, 1)])),
        Err(CommitError::Conflict),
        "a version of another key"
    );
    assert_eq!(store.try_one(change(1, &[(account_key(2), 2)], &[(2, 1)])), Err(CommitError::Conflict), "one to come");
}

pub fn law_4_a_key_that_is_only_read_counts(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    let facts = store.look(&[account_key(1), account_key(2)]);
    store.put(1, 20);
    let reads = [(account_key(1), facts.facts[0].version), (account_key(2), 0)];
    assert_eq!(store.try_one(change(facts.began_at, &reads, &[(2, 1)])), Err(CommitError::Conflict));
}

pub fn law_4_a_taken_request_is_a_duplicate(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[(1, 10)]), 9));
    assert_eq!(store.try_one(with_request(change(0, &[], &[(1, 10)]), 9)), Err(CommitError::Duplicate));
    store.one(with_request(change(0, &[], &[(1, 11)]), 10));
    assert_eq!(store.head_now().position, 2);
}

pub fn law_4_the_first_expectation_that_fails_names_the_refusal(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[(1, 10)]), 9));
    let account_first = with_request(change(0, &[(account_key(1), 0)], &[]), 9);
    assert_eq!(store.try_one(account_first.clone()), Err(CommitError::Conflict));
    let mut request_first = account_first;
    request_first.expects.reverse();
    assert_eq!(store.try_one(request_first), Err(CommitError::Duplicate));
}

pub fn law_4_no_expectation_always_holds(harness: &mut Harness) {
    let store = harness.store();
    for round in 1..=20 {
        assert_eq!(store.one(change(0, &[], &[(1, 1)])), round);
    }
}

pub fn law_4_an_old_look_is_never_taken_for_a_new_one(harness: &mut Harness) {
    let old = harness.store().look(&[account_key(1)]);
    for number in 1..=50 {
        harness.store().put(number, 10);
    }
    harness.reopen();
    let store = harness.store();
    let late = change(old.began_at, &[(account_key(1), old.facts[0].version)], &[(1, 99)]);
    assert_eq!(store.try_one(late), Err(CommitError::Conflict));
    assert_eq!(fen_of(&store.look(&[account_key(1)]), 0), Some(10));
}

pub fn law_4_expectations_hold_after_reopening(harness: &mut Harness) {
    harness.store().put(1, 10);
    harness.store().put(2, 10);
    harness.reopen();
    let store = harness.store();
    let facts = store.look(&[account_key(1), account_key(3)]);
    store.one(change(facts.began_at, &[(account_key(1), 1), (account_key(3), 0)], &[(1, 11), (3, 1)]));
    let again = change(facts.began_at, &[(account_key(1), 1)], &[(1, 12)]);
    assert_eq!(store.try_one(again), Err(CommitError::Conflict));
}

pub fn law_4_each_place_among_the_expectations_counts(harness: &mut Harness) {
    let store = harness.store();
    for number in 0..10 {
        store.put(number, 1);
    }
    let right: Vec<(Key, u64)> = (0..10).map(|number| (account_key(u128::from(number)), number + 1)).collect();
    for place in 0..right.len() {
        let mut wrong = right.clone();
        wrong[place].1 = if place == 0 { 2 } else { right[place].1 - 1 };
        assert_eq!(store.try_one(change(10, &wrong, &[(99, 1)])), Err(CommitError::Conflict), "place {place}");
    }
    assert_eq!(store.one(change(10, &right, &[(99, 1)])), 11);
}

pub fn law_4_a_key_expected_twice_must_hold_twice(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 1);
    store.put(1, 2);
    for (first, second) in [(2, 1), (1, 2)] {
        let torn = change(2, &[(account_key(1), first), (account_key(1), second)], &[(1, 3)]);
        assert_eq!(store.try_one(torn), Err(CommitError::Conflict), "{first} and {second}");
    }
    assert_eq!(store.one(change(2, &[(account_key(1), 2), (account_key(1), 2)], &[(1, 3)])), 3);
}

pub fn law_4_every_kind_of_fact_is_compared(harness: &mut Harness) {
    for (number, (key, entity)) in (1..).zip(kinds::one_of_each()) {
        let store = harness.store();
        assert_eq!(store.one(putting(key, entity.clone())), 2 * number - 1);
        let mut blind = putting(key, entity.clone());
        (blind.began_at, blind.expects) = (0, vec![(key, 0)]);
        assert!(store.try_one(blind.clone()).is_err(), "{key:?} was there");
        (blind.began_at, blind.expects) = (2 * number - 1, vec![(key, 2 * number - 1)]);
        assert_eq!(store.one(blind), 2 * number, "{key:?} is as it was seen");
    }
}

pub fn law_4_only_a_taken_request_is_a_duplicate(harness: &mut Harness) {
    for (key, entity) in kinds::one_of_each() {
        let store = harness.store();
        store.one(putting(key, entity.clone()));
        let mut blind = putting(key, entity);
        blind.expects = vec![(key, 0)];
        let told = if matches!(key, Key::Request(_)) { CommitError::Duplicate } else { CommitError::Conflict };
        assert_eq!(store.try_one(blind), Err(told), "{key:?}");
    }
}

pub fn law_4_a_request_expected_as_it_stands_is_no_duplicate(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[]), 5));
    let facts = store.look(&[request_key(5)]);
    let seen = change(facts.began_at, &[(request_key(5), facts.facts[0].version)], &[(1, 1)]);
    assert_eq!(store.one(seen), 2);
}

pub fn law_4_what_is_only_read_keeps_its_version(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    store.one(change(1, &[(account_key(1), 1)], &[(2, 20)]));
    assert_eq!(versions(&store.look(&[account_key(1)])), [1]);
    assert_eq!(store.one(change(1, &[(account_key(1), 1)], &[(3, 30)])), 3, "read again as it was");
}

pub fn law_4_what_others_changed_hinders_nobody(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    let seen = store.look(&[account_key(1), account_key(2)]);
    for number in 3..60 {
        store.put(number, 1);
    }
    let mine = change(seen.began_at, &[(account_key(1), 1), (account_key(2), 0)], &[(1, 11)]);
    assert_eq!(store.try_one(mine).map(|done| done.position), Ok(59));
}

pub fn law_4_a_fresh_look_is_never_too_old(harness: &mut Harness) {
    for number in 0..30 {
        harness.store().put(number, 1);
    }
    harness.reopen();
    for number in 0..30 {
        let facts = harness.store().look(&[account_key(number), request_key(1)]);
        let expects = [(account_key(number), facts.facts[0].version), (request_key(1), 0)];
        harness.store().one(change(facts.began_at, &expects, &[(number, 2)]));
    }
}

/// It may be too long ago to say, and then it is a conflict.
pub fn law_4_a_free_request_is_never_told_taken(harness: &mut Harness) {
    for number in 0..30 {
        harness.store().put(number, 1);
    }
    harness.reopen();
    let late = harness.store().try_one(with_request(change(0, &[], &[(1, 5)]), 77));
    assert!(matches!(late, Ok(_) | Err(CommitError::Conflict)), "{late:?}");
}

pub fn law_4_one_of_many_at_once_wins(harness: &mut Harness) {
    let store = harness.store();
    for round in 0..20_i64 {
        let seen = store.look(&[account_key(1)]);
        let wins = AtomicU64::new(0);
        at_once(6, 1, |place, _| {
            let mine =
                change(seen.began_at, &[(account_key(1), seen.facts[0].version)], &[(1, round + i64::from(place))]);
            match store.try_one(mine) {
                Ok(_) => drop(wins.fetch_add(1, Ordering::Relaxed)),
                Err(refusal) => assert_eq!(refusal, CommitError::Conflict),
            }
        });
        assert_eq!(wins.into_inner(), 1);
    }
}

pub fn law_4_one_request_of_many_at_once_counts(harness: &mut Harness) {
    let store = harness.store();
    for round in 0..20_u8 {
        let wins = AtomicU64::new(0);
        at_once(6, 1, |place, _| match store.try_one(with_request(change(0, &[], &[(u128::from(place), 1)]), round)) {
            Ok(_) => drop(wins.fetch_add(1, Ordering::Relaxed)),
            Err(refusal) => assert_eq!(refusal, CommitError::Duplicate),
        });
        assert_eq!(wins.into_inner(), 1);
    }
    assert_eq!(store.head_now().position, 20);
}

pub fn law_4_two_that_read_each_other_cannot_both_be_true(harness: &mut Harness) {
    let store = harness.store();
    let both = store.look(&[account_key(1), account_key(2)]);
    let expects = [(account_key(1), 0), (account_key(2), 0)];
    store.one(change(both.began_at, &expects, &[(1, 10)]));
    assert_eq!(store.try_one(change(both.began_at, &expects, &[(2, 10)])), Err(CommitError::Conflict));
}

pub fn law_4_decided_anew_it_goes_through(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    for round in 0..10 {
        let stale = change(0, &[(account_key(1), 0)], &[(1, 99)]);
        assert_eq!(store.try_one(stale), Err(CommitError::Conflict));
        assert_eq!(store.put(1, round), u64::try_from(round).unwrap() + 2);
    }
}

pub fn law_4_an_expectation_of_what_is_put_is_of_before(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    let itself = change(1, &[(account_key(1), 2)], &[(1, 20)]);
    assert_eq!(store.try_one(itself), Err(CommitError::Conflict), "its own position is not there yet");
}
