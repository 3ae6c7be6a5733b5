//! Law 6: positions are gapless, in commit order.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use gongji::store::CommitError;

use super::harness::*;

pub fn law_6_positions_start_at_one_and_refusals_take_none(harness: &mut Harness) {
    let store = harness.store();
    assert_eq!(store.put(1, 1), 1);
    assert!(store.try_one(change(1, &[(account_key(1), 0)], &[])).is_err());
    assert_eq!(store.put(1, 2), 2);
}

pub fn law_6_positions_are_gapless_under_contention(harness: &mut Harness) {
    let store = harness.store();
    let counts: Vec<Mutex<Vec<u64>>> = (0..8).map(|_| Mutex::default()).collect();
    at_once(8, 200, |place, round| {
        let key = account_key(u128::from(round % 5));
        let facts = store.look(&[key]);
        let one = change(facts.began_at, &[(key, facts.facts[0].version)], &[(u128::from(round % 5), 1)]);
        if let Ok(committed) = store.try_one(one) {
            counts[usize::from(place)].lock().unwrap().push(committed.position);
        }
    });
    let mut positions: Vec<u64> = counts.iter().flat_map(|own| own.lock().unwrap().clone()).collect();
    for own in &counts {
        assert!(own.lock().unwrap().is_sorted(), "each thread sees positions grow");
    }
    positions.sort_unstable();
    let head = store.head_now().position;
    assert!(head >= 200, "some go through");
    assert_eq!(positions, (1..=head).collect::<Vec<_>>());
    assert_eq!(store.all().iter().map(|record| record.position).collect::<Vec<_>>(), positions);
}

pub fn law_6_positions_go_on_after_reopening(harness: &mut Harness) {
    for round in 1..=5 {
        assert_eq!(harness.store().put(1, 1), round);
        harness.reopen();
    }
}

pub fn law_6_no_refusal_takes_a_position(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[(1, 1)]), 1));
    let refused =
        [change(0, &[(account_key(1), 0)], &[]), with_request(change(0, &[], &[]), 1), ending(change(0, &[], &[]), 5)];
    for change in refused {
        assert!(store.try_one(change).is_err());
    }
    assert_eq!(verdicts(store, vec![]), []);
    assert_eq!((store.head_now().position, store.put(2, 1), store.all().len()), (1, 2, 2));
}

pub fn law_6_the_head_stands_where_the_last_commit_said(harness: &mut Harness) {
    let store = harness.store();
    for number in 1..=10 {
        let list = (0..number).map(|key| change(0, &[], &[(key, 1)])).collect();
        let last = verdicts(store, list).pop().expect("one at least");
        assert_eq!(last, Ok(store.head_now().position));
    }
    assert_eq!(store.head_now().position, 55);
}

/// A change that began when another had been answered stands behind it.
pub fn law_6_positions_follow_real_time(harness: &mut Harness) {
    let store = harness.store();
    let answered = AtomicU64::new(0);
    at_once(4, 150, |place, _| {
        let before = answered.load(Ordering::SeqCst);
        let position = store.one(change(0, &[], &[(u128::from(place), 1)]));
        assert!(position > before, "{position} was given after {before}");
        answered.fetch_max(position, Ordering::SeqCst);
    });
    assert_eq!(store.head_now().position, 600);
}

pub fn law_6_positions_go_on_after_a_crash(harness: &mut Harness) {
    for _ in 0..2 {
        for number in 0..10 {
            harness.store().put(number, 1);
        }
        harness.crash();
        let head = harness.store().head_now().position;
        assert_eq!(harness.store().put(1, 1), head + 1);
        let positions: Vec<u64> = harness.store().all().iter().map(|record| record.position).collect();
        assert_eq!(positions, (1..=head + 1).collect::<Vec<_>>());
    }
}

pub fn law_6_lists_of_many_at_once_leave_no_gap(harness: &mut Harness) {
    let store = harness.store();
    let taken = Mutex::new(Vec::new());
    at_once(4, 25, |place, round| {
        let list = (0..6_u64).map(|number| {
            let refused = (number + round) % 3 == 0;
            change(0, &[(account_key(99), u64::from(refused))], &[(u128::from(place), 1)])
        });
        for verdict in verdicts(store, list.collect()) {
            match verdict {
                Ok(position) => taken.lock().unwrap().push(position),
                Err(refusal) => assert_eq!(refusal, CommitError::Conflict),
            }
        }
    });
    let mut taken = taken.into_inner().unwrap();
    taken.sort_unstable();
    assert_eq!(taken, (1..=400).collect::<Vec<_>>());
}
