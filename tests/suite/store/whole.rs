//! Law 3: a change is applied whole or not at all.

use gongji::store::{CommitError, Key, ListKind};

use super::harness::*;

pub fn law_3_a_change_is_there_with_all_its_parts(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let both = listed(change(0, &[], &[(1, 10), (2, 20)]), &[(key, 77), (list(ListKind::PatientSettlements, 1), 78)]);
    harness.store().one(both.clone());
    for _ in 0..2 {
        let store = harness.store();
        let facts = store.look(&[account_key(1), account_key(2)]);
        assert_eq!((fen_of(&facts, 0), fen_of(&facts, 1)), (Some(10), Some(20)));
        assert_eq!(store.rows(key, 0, 9, 9), [(1, 77)]);
        assert_eq!(store.rows(list(ListKind::PatientSettlements, 1), 0, 9, 9), [(1, 78)]);
        assert_eq!(store.all().iter().map(|record| &record.bytes).collect::<Vec<_>>(), [&both.record]);
        harness.reopen();
    }
}

pub fn law_3_a_refused_change_leaves_nothing(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    harness.store().put(1, 10);
    let before = harness.store().head_now();
    let refused = listed(change(1, &[(account_key(1), 1), (account_key(2), 1)], &[(1, 11), (3, 1)]), &[(key, 77)]);
    assert_eq!(harness.store().try_one(refused), Err(CommitError::Conflict));
    for _ in 0..2 {
        let store = harness.store();
        let facts = store.look(&[account_key(1), account_key(3)]);
        assert_eq!((fen_of(&facts, 0), fen_of(&facts, 1)), (Some(10), None));
        assert_eq!((store.head_now(), store.all().len(), store.rows(key, 0, 9, 9)), (before, 1, vec![]));
        harness.reopen();
    }
}

pub fn law_3_a_change_without_facts_is_a_record(harness: &mut Harness) {
    harness.store().one(change(0, &[], &[]));
    assert_eq!(harness.store().all().len(), 1);
}

pub fn law_3_a_change_of_list_rows_alone(harness: &mut Harness) {
    let key = list(ListKind::ExternalReference, 3);
    harness.store().one(listed(change(0, &[], &[]), &[(key, 5)]));
    for _ in 0..2 {
        assert_eq!(harness.store().rows(key, 0, 9, 9), [(1, 5)]);
        harness.reopen();
    }
}

pub fn law_3_a_large_change_is_whole(harness: &mut Harness) {
    let puts: Vec<(u128, i64)> = (0..300).zip(1_000..).collect();
    let lists: Vec<_> = (0..=255).zip(7..).map(|(of, subject)| (list(ListKind::AccountEntries, of), subject)).collect();
    harness.store().one(listed(change(0, &[], &puts), &lists));
    let keys: Vec<Key> = (0..300).map(account_key).collect();
    for _ in 0..2 {
        let facts = harness.store().look(&keys);
        for place in 0..300 {
            assert_eq!(fen_of(&facts, place), Some(1_000 + i64::try_from(place).unwrap()));
        }
        for (key, subject) in &lists {
            assert_eq!(harness.store().rows(*key, 0, 9, 9), [(1, *subject)]);
        }
        harness.reopen();
    }
}

pub fn law_3_a_large_refused_change_leaves_nothing(harness: &mut Harness) {
    let puts: Vec<(u128, i64)> = (0..300).map(|number| (number, 1)).collect();
    let lists: Vec<_> = (0..=255).map(|of| (list(ListKind::AccountEntries, of), 1)).collect();
    let mut expects: Vec<(Key, u64)> = (0..300).map(|number| (account_key(number), 0)).collect();
    expects.push((account_key(1_000), 4));
    assert_eq!(harness.store().try_one(listed(change(0, &expects, &puts), &lists)), Err(CommitError::Conflict));
    let keys: Vec<Key> = (0..300).map(account_key).collect();
    for _ in 0..2 {
        assert!(versions(&harness.store().look(&keys)).iter().all(|version| *version == 0));
        assert!(lists.iter().all(|(key, _)| harness.store().rows(*key, 0, u64::MAX, 9).is_empty()));
        assert_eq!(harness.store().all().len(), 0);
        harness.reopen();
    }
}

pub fn law_3_a_duplicate_leaves_nothing(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    harness.store().one(with_request(change(0, &[], &[(1, 10)]), 4));
    let head = harness.store().head_now();
    let again = listed(with_request(change(0, &[], &[(1, 99), (2, 99)]), 4), &[(key, 9)]);
    assert_eq!(harness.store().try_one(again), Err(CommitError::Duplicate));
    for _ in 0..2 {
        let facts = harness.store().look(&[account_key(1), account_key(2), request_key(4)]);
        assert_eq!((versions(&facts), fen_of(&facts, 0)), (vec![1, 0, 1], Some(10)));
        assert_eq!((harness.store().head_now(), harness.store().rows(key, 0, 9, 9)), (head, vec![]));
        harness.reopen();
    }
}

/// What was not durable may be gone, each change with all its parts.
pub fn law_3_after_a_crash_a_change_is_there_with_all_its_parts_or_not_at_all(harness: &mut Harness) {
    let key = list(ListKind::PatientSettlements, 1);
    for round in 0..3 {
        let before = harness.store().head_now().position;
        for number in before + 1..=before + 30 {
            let both = change(0, &[], &[(u128::from(number), 1), (u128::from(number) + 10_000, 2)]);
            harness.store().one(listed(both, &[(key, u128::from(number))]));
        }
        if round % 2 == 0 {
            block_on(harness.store().wait_durable(before + 10)).expect("durable");
        }
        harness.crash();
        let head = harness.store().head_now().position;
        assert_eq!(harness.store().rows(key, 0, u64::MAX, usize::MAX), numbered(1..=head));
        let all = before + 30;
        let keys: Vec<Key> =
            (1..=all).flat_map(|number| [0, 10_000].map(|more| account_key(u128::from(number) + more))).collect();
        let there: Vec<u64> = (1..=all).flat_map(|number| [if number <= head { number } else { 0 }; 2]).collect();
        assert_eq!(versions(&harness.store().look(&keys)), there);
        assert_eq!(harness.store().all().len() as u64, head);
    }
}

pub fn law_3_whoever_sees_a_fact_finds_its_record(harness: &mut Harness) {
    let store = harness.store();
    at_once(3, 150, |place, round| {
        if place == 0 {
            store.put(1, i64::try_from(round).unwrap());
        } else {
            let seen = store.look(&[account_key(1)]).facts[0].version;
            let records = block_on(store.records(seen.max(1), 1)).expect("reads");
            assert!(seen == 0 || records.first().is_some_and(|record| record.position == seen), "{seen}");
        }
    });
}

pub fn law_3_whoever_sees_a_list_row_finds_its_fact(harness: &mut Harness) {
    let store = harness.store();
    let key = list(ListKind::AccountEntries, 1);
    at_once(3, 150, |place, _| {
        if place == 0 {
            let seen = store.look(&[account_key(1)]);
            let next = change(seen.began_at, &[(account_key(1), seen.facts[0].version)], &[(1, 5)]);
            store.one(listed(next, &[(key, 1)]));
        } else if let Some((position, _)) = store.rows(key, 0, u64::MAX, usize::MAX).last() {
            let version = store.look(&[account_key(1)]).facts[0].version;
            assert!(version >= *position, "a row at {position} and the fact at {version}");
        }
    });
}
