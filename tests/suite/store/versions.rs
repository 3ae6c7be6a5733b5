//! Law 2: a version is the position of the change that last wrote the fact.

use super::harness::*;

pub fn law_2_a_version_is_the_position_of_the_last_change(harness: &mut Harness) {
    let store = harness.store();
    for round in 1..=5 {
        assert_eq!(store.put(1, round), u64::try_from(round).unwrap());
        let facts = store.look(&[account_key(1)]);
        assert_eq!((facts.facts[0].version, fen_of(&facts, 0)), (store.head_now().position, Some(round)));
    }
}

pub fn law_2_a_key_that_is_not_put_keeps_its_version(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    store.put(2, 20);
    store.one(change(2, &[(account_key(1), 1)], &[(2, 21)]));
    let facts = store.look(&[account_key(1), account_key(2)]);
    assert_eq!((facts.facts[0].version, facts.facts[1].version), (1, 3));
}

pub fn law_2_versions_hold_after_reopening(harness: &mut Harness) {
    for number in 1..=3 {
        harness.store().put(number, 10);
    }
    harness.store().put(2, 11);
    harness.reopen();
    let facts = harness.store().look(&[account_key(1), account_key(2), account_key(3), account_key(4)]);
    assert_eq!(facts.facts.iter().map(|fact| fact.version).collect::<Vec<_>>(), [1, 4, 3, 0]);
    assert_eq!((fen_of(&facts, 1), fen_of(&facts, 3)), (Some(11), None));
}

pub fn law_2_all_facts_of_a_change_share_its_position(harness: &mut Harness) {
    harness.store().put(9, 1);
    harness.store().one(change(0, &[], &[(1, 10), (2, 20), (3, 30)]));
    for _ in 0..2 {
        let facts = harness.store().look(&[account_key(1), account_key(2), account_key(3)]);
        assert_eq!(versions(&facts), [2, 2, 2]);
        harness.reopen();
    }
}

pub fn law_2_of_a_fact_put_twice_the_last_counts(harness: &mut Harness) {
    harness.store().one(change(0, &[], &[(1, 10), (2, 20), (1, 30)]));
    for _ in 0..2 {
        let facts = harness.store().look(&[account_key(1), account_key(2)]);
        assert_eq!((versions(&facts), fen_of(&facts, 0)), (vec![1, 1], Some(30)));
        harness.reopen();
    }
}

pub fn law_2_the_same_value_again_is_a_new_version(harness: &mut Harness) {
    let store = harness.store();
    assert_eq!((store.put(1, 10), store.put(1, 10)), (1, 2));
    assert_eq!(versions(&store.look(&[account_key(1)])), [2]);
    assert!(store.try_one(change(1, &[(account_key(1), 1)], &[(1, 10)])).is_err(), "the first is not there any more");
}

pub fn law_2_versions_past_one_byte_stay_apart(harness: &mut Harness) {
    let changes = (1..=600).map(|number| change(0, &[], &[(number, 1)])).collect();
    assert!(verdicts(harness.store(), changes).iter().all(Result::is_ok));
    for _ in 0..2 {
        for number in [1, 127, 128, 255, 256, 257, 511, 512, 513, 600] {
            let facts = harness.store().look(&[account_key(number)]);
            assert_eq!(u128::from(facts.facts[0].version), number);
        }
        harness.reopen();
    }
}

pub fn law_2_alone_and_in_company_the_version_is_one(harness: &mut Harness) {
    for number in 0..40 {
        harness.store().put(number % 13, 1);
    }
    let keys: Vec<_> = (0..20).map(account_key).collect();
    for _ in 0..2 {
        let together = versions(&harness.store().look(&keys));
        let alone: Vec<u64> = keys.iter().map(|key| harness.store().look(&[*key]).facts[0].version).collect();
        assert_eq!(alone, together);
        harness.reopen();
    }
}

pub fn law_2_versions_hold_after_a_crash(harness: &mut Harness) {
    for number in [1, 2, 1, 3, 1] {
        harness.store().put(number, 10);
    }
    harness.store().settled();
    harness.crash();
    let facts = harness.store().look(&[account_key(1), account_key(2), account_key(3), account_key(4)]);
    assert_eq!(versions(&facts), [5, 2, 4, 0]);
}

pub fn law_2_looking_changes_nothing(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    let head = store.head_now();
    for _ in 0..5 {
        assert_eq!(versions(&store.look(&[account_key(1), account_key(2)])), [1, 0]);
    }
    assert_eq!(store.head_now(), head);
}
