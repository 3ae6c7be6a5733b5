//! Law 12: a store that cannot carry on says so.

use std::sync::Mutex;

use gongji::store::{CommitError, ListKind, StoreError};

use super::harness::*;

pub fn law_12_a_closed_store_says_so(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    block_on(store.close()).expect("closes");
    assert_eq!(block_on(store.load(&[account_key(1)])).map(|_| ()), Err(StoreError::Closed));
    assert_eq!(store.try_one(change(0, &[], &[])), Err(CommitError::NotApplied(StoreError::Closed)));
    assert_eq!(block_on(store.wait_durable(1)), Err(StoreError::Closed));
    assert_eq!(block_on(store.records(1, 1)), Err(StoreError::Closed));
    assert_eq!(block_on(store.list(list(ListKind::AccountEntries, 1), 0, 1, 1)), Err(StoreError::Closed));
    assert_eq!(block_on(store.head()), Err(StoreError::Closed));
    assert_eq!(block_on(store.clock()), Err(StoreError::Closed));
}

pub fn law_12_closing_twice_is_no_error(harness: &mut Harness) {
    harness.store().put(1, 10);
    assert_eq!(block_on(harness.store().close()), Ok(()));
    assert_eq!(block_on(harness.store().close()), Ok(()));
}

pub fn law_12_a_closed_store_stays_closed(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    block_on(store.close()).expect("closes");
    for _ in 0..3 {
        assert_eq!(block_on(store.load(&[])).map(|_| ()), Err(StoreError::Closed), "nothing is asked");
        assert_eq!(block_on(store.wait_durable(0)), Err(StoreError::Closed), "nothing is waited for");
        assert_eq!(block_on(store.records(9, 0)), Err(StoreError::Closed), "nothing is wanted");
        assert_eq!(
            verdicts(store, vec![change(0, &[], &[]); 2]),
            [Err(CommitError::NotApplied(StoreError::Closed)); 2]
        );
    }
}

/// A refusal that would be told of an open store is not told of a closed one, which cannot know.
pub fn law_12_a_closed_store_judges_nothing(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[(1, 10)]), 1));
    block_on(store.close()).expect("closes");
    for change in [with_request(change(0, &[], &[]), 1), change(0, &[(account_key(1), 0)], &[])] {
        assert_eq!(store.try_one(change), Err(CommitError::NotApplied(StoreError::Closed)));
    }
}

pub fn law_12_closing_wakes_whoever_waits(harness: &mut Harness) {
    let store = harness.store();
    let waits: Vec<_> = (1..6).map(|position| store.wait_durable(position)).collect();
    std::thread::scope(|scope| {
        let waiting: Vec<_> = waits.into_iter().map(|wait| scope.spawn(|| block_on(wait))).collect();
        block_on(store.close()).expect("closes");
        for wait in waiting {
            assert_eq!(wait.join().expect("runs"), Err(StoreError::Closed));
        }
    });
}

pub fn law_12_closing_in_the_middle_leaves_definite_verdicts(harness: &mut Harness) {
    let applied = Mutex::new(Vec::new());
    let store = harness.store();
    at_once(4, 40, |place, round| {
        if (place, round) == (0, 20) {
            block_on(store.close()).expect("closes");
        }
        let number = u128::from(place) * 1_000 + u128::from(round);
        match store.try_one(change(0, &[], &[(number, 1)])) {
            Ok(done) => applied.lock().unwrap().push((done.position, number)),
            Err(refusal) => assert_eq!(refusal, CommitError::NotApplied(StoreError::Closed)),
        }
    });
    assert!(verdicts(store, vec![change(0, &[], &[])])[0].is_err());
    let mut applied = applied.into_inner().unwrap();
    applied.sort_unstable();
    let positions: Vec<u64> = applied.iter().map(|(position, _)| *position).collect();
    assert_eq!(positions, (1..=applied.len() as u64).collect::<Vec<_>>(), "none in between was told otherwise");
}
