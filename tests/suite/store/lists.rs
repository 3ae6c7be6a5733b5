//! Law 10: lists are in position order, bounded by both ends, cut at the limit and at nothing else.

use gongji::store::{ListKey, ListKind};

use super::harness::*;

pub fn law_10_rows_come_in_order_within_both_bounds(harness: &mut Harness) {
    let key = list(ListKind::PatientSettlements, 1);
    for subject in [50, 40, 60, 10, 99] {
        harness.store().one(listed(change(0, &[], &[]), &[(key, subject)]));
    }
    for _ in 0..2 {
        let store = harness.store();
        assert_eq!(store.rows(key, 0, 5, 9), [(1, 50), (2, 40), (3, 60), (4, 10), (5, 99)]);
        assert_eq!(store.rows(key, 1, 4, 9), [(2, 40), (3, 60), (4, 10)], "after is outside, until inside");
        for (after, until) in [(5, 9), (4, 4), (4, 2), (0, 0), (u64::MAX, u64::MAX)] {
            assert_eq!(store.rows(key, after, until, 9), [], "{after} {until}");
        }
        assert_eq!(store.rows(key, 4, u64::MAX, 9), [(5, 99)]);
        harness.reopen();
    }
}

pub fn law_10_the_limit_cuts_and_nothing_else(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let changes = (1..=300).map(|n| listed(change(0, &[], &[]), &[(key, n)])).collect();
    assert!(verdicts(harness.store(), changes).iter().all(Result::is_ok));
    for _ in 0..2 {
        let store = harness.store();
        assert_eq!(store.rows(key, 0, 300, 0), []);
        assert_eq!(store.rows(key, 0, 300, 1), [(1, 1)]);
        assert_eq!(store.rows(key, 0, 300, usize::MAX).len(), 300);
        let (mut after, mut pages) = (0, Vec::new());
        loop {
            let page = store.rows(key, after, 290, 7);
            let Some(last) = page.last() else { break };
            assert!(last.0 > after, "a page begins behind the one before");
            after = last.0;
            pages.extend(page);
        }
        assert_eq!(pages, (1..=290).map(|n| (n, u128::from(n))).collect::<Vec<_>>());
        harness.reopen();
    }
}

pub fn law_10_lists_do_not_mix(harness: &mut Harness) {
    let keys: Vec<_> = ListKind::ALL.iter().flat_map(|kind| [0, 1, 255].map(|of| list(*kind, of))).collect();
    let rows: Vec<_> = keys.iter().zip(100..).map(|(key, subject)| (*key, subject)).collect();
    harness.store().one(listed(change(0, &[], &[]), &rows));
    for _ in 0..2 {
        for (key, subject) in &rows {
            assert_eq!(harness.store().rows(*key, 0, u64::MAX, 9), [(1, *subject)], "{key:?}");
        }
        harness.reopen();
    }
}

pub fn law_10_one_row_per_list_and_position(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    harness.store().one(listed(change(0, &[], &[]), &[(key, 1), (key, 2)]));
    for _ in 0..2 {
        assert_eq!(harness.store().rows(key, 0, 9, 9), [(1, 2)], "the last one given");
        harness.reopen();
    }
}

pub fn law_10_rows_span_what_is_flushed_and_what_is_not(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let store = harness.store();
    for position in 1..=400_u64 {
        store.one(listed(change(0, &[], &[]), &[(key, u128::from(position))]));
        // Read while the store is still writing: no gap, no double.
        let after = position.saturating_sub(20);
        let expected: Vec<_> = (after + 1..=position).map(|n| (n, u128::from(n))).collect();
        assert_eq!(store.rows(key, after, u64::MAX, 50), expected);
    }
}

pub fn law_10_owners_that_differ_in_one_bit_have_two_lists(harness: &mut Harness) {
    let of = 0x0193_5b00_0000_7000_8000_0000_0000_0001_u128;
    let key = |of: u128| ListKey { kind: ListKind::PatientSettlements, of: of.to_be_bytes() };
    harness.store().one(listed(change(0, &[], &[]), &[(key(of), 1)]));
    for _ in 0..2 {
        assert!((0..128).all(|bit| harness.store().rows(key(of ^ (1 << bit)), 0, u64::MAX, 9).is_empty()));
        assert_eq!(harness.store().rows(key(of), 0, u64::MAX, 9), [(1, 1)]);
        harness.reopen();
    }
}

pub fn law_10_subjects_of_every_size(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let subjects = [0, 1, u128::from(u64::MAX), 1 << 127, u128::MAX, u128::MAX - 1];
    for subject in subjects {
        harness.store().one(listed(change(0, &[], &[]), &[(key, subject)]));
    }
    for _ in 0..2 {
        let rows = harness.store().rows(key, 0, u64::MAX, 9);
        assert_eq!(rows.iter().map(|row| row.1).collect::<Vec<_>>(), subjects);
        harness.reopen();
    }
}

/// A list with a row at every tenth position, and others in between.
fn sparse(harness: &Harness) -> ListKey {
    let (key, other) = (list(ListKind::OwnerBindings, 1), list(ListKind::OwnerBindings, 2));
    let changes = (1..=400_u64).map(|position| {
        let of = if position % 10 == 0 { key } else { other };
        listed(change(0, &[], &[]), &[(of, position.into())])
    });
    assert!(verdicts(harness.store(), changes.collect()).iter().all(Result::is_ok));
    key
}

pub fn law_10_the_limit_counts_rows_and_not_positions(harness: &mut Harness) {
    let key = sparse(harness);
    for _ in 0..2 {
        let rows = harness.store().rows(key, 0, u64::MAX, 25);
        assert_eq!(rows, (1..=25).map(|n| (n * 10, u128::from(n * 10))).collect::<Vec<_>>());
        harness.reopen();
    }
}

pub fn law_10_bounds_may_lie_in_gaps(harness: &mut Harness) {
    let key = sparse(harness);
    for _ in 0..2 {
        assert_eq!(harness.store().rows(key, 15, 45, 9), [(20, 20), (30, 30), (40, 40)]);
        assert_eq!(harness.store().rows(key, 20, 30, 9), [(30, 30)]);
        assert_eq!(harness.store().rows(key, 21, 29, 9), []);
        assert_eq!(harness.store().rows(key, 395, u64::MAX, 9), [(400, 400)]);
        harness.reopen();
    }
}

pub fn law_10_the_same_subject_twice_is_two_rows(harness: &mut Harness) {
    let key = list(ListKind::InstitutionChanges, 1);
    for _ in 0..3 {
        harness.store().one(listed(change(0, &[], &[]), &[(key, 5)]));
    }
    for _ in 0..2 {
        assert_eq!(harness.store().rows(key, 0, 9, 9), [(1, 5), (2, 5), (3, 5)]);
        harness.reopen();
    }
}

pub fn law_10_a_walk_beside_writers_misses_nothing(harness: &mut Harness) {
    let store = harness.store();
    let key = list(ListKind::PatientSettlements, 7);
    at_once(3, 60, |place, _| {
        if place < 2 {
            store.one(listed(change(0, &[], &[]), &[(key, 1)]));
            return;
        }
        let (mut after, mut seen) = (0, Vec::new());
        loop {
            let page = store.rows(key, after, u64::MAX, 4);
            let Some(last) = page.last() else { break };
            assert!(last.0 > after, "a page begins behind the one before");
            after = last.0;
            seen.extend(page.iter().map(|row| row.0));
        }
        // Every change has a row, so what was walked is every position there is.
        assert_eq!(seen, (1..=after).collect::<Vec<_>>());
    });
}

pub fn law_10_rows_of_a_list_of_changes_stand_at_their_own_positions(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 1);
    let changes = (1..=9).map(|number| {
        let expects = [(account_key(1), u64::from(number == 4))];
        listed(change(0, &expects, &[]), &[(key, number)])
    });
    let seen = verdicts(harness.store(), changes.collect());
    let taken: Vec<(u64, u128)> = seen.iter().zip(1..).filter_map(|(verdict, n)| Some(((*verdict).ok()?, n))).collect();
    for _ in 0..2 {
        assert_eq!(harness.store().rows(key, 0, u64::MAX, 99), taken);
        harness.reopen();
    }
}

pub fn law_10_a_list_that_nobody_wrote_is_empty(harness: &mut Harness) {
    for kind in ListKind::ALL {
        assert_eq!(harness.store().rows(list(kind, 0), 0, u64::MAX, usize::MAX), []);
    }
    harness.store().one(listed(change(0, &[], &[]), &[(list(ListKind::HoldsOfDay, 1), 1)]));
    assert_eq!(harness.store().rows(list(ListKind::TransfersOfDay, 1), 0, u64::MAX, 9), []);
}
