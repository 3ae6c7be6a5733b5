//! Law 14: a look is complete, and says how new it is.

use super::harness::*;

pub fn law_14_what_was_seen_is_not_after_read_at(harness: &mut Harness) {
    let store = harness.store();
    at_once(4, 300, |place, round| {
        if place == 0 {
            store.put(1, 1);
        } else {
            let facts = store.look(&[account_key(1)]);
            assert!(facts.began_at <= facts.read_at && facts.facts[0].version <= facts.read_at, "{round}");
        }
    });
}

pub fn law_14_a_look_is_in_the_order_asked(harness: &mut Harness) {
    let store = harness.store();
    store.put(1, 10);
    store.put(2, 20);
    let keys = [account_key(2), account_key(3), account_key(1), account_key(2)];
    let facts = store.look(&keys);
    assert_eq!(facts.facts.iter().map(|fact| fact.key).collect::<Vec<_>>(), keys);
    assert_eq!((0..4).map(|place| fen_of(&facts, place)).collect::<Vec<_>>(), [Some(20), None, Some(10), Some(20)]);
    assert_eq!(store.look(&[]).facts.len(), 0);
}

pub fn law_14_many_keys_in_one_look(harness: &mut Harness) {
    let changes = (0..500).map(|number| change(0, &[], &[(number * 2, i64::try_from(number).unwrap())])).collect();
    assert!(verdicts(harness.store(), changes).iter().all(Result::is_ok));
    let keys: Vec<_> = (0..1000).map(account_key).collect();
    for _ in 0..2 {
        let facts = harness.store().look(&keys);
        for (place, fact) in facts.facts.iter().enumerate() {
            let there = (place % 2 == 0).then(|| i64::try_from(place / 2).unwrap());
            assert_eq!((fen_of(&facts, place), fact.version == 0), (there, there.is_none()), "{place}");
        }
        harness.reopen();
    }
}

/// Every change writes the key, so a look that begins at a position has found the key as of that position at least.
pub fn law_14_a_look_is_at_least_as_new_as_it_says(harness: &mut Harness) {
    let store = harness.store();
    for round in 0..6 {
        store.put(1, round);
        let facts = store.look(&[account_key(1)]);
        assert!(facts.facts[0].version >= facts.began_at, "{facts:?}");
    }
    at_once(4, 200, |place, round| {
        if place == 0 {
            store.put(1, i64::try_from(round).unwrap());
        } else {
            for keys in [vec![account_key(1)], vec![account_key(2), account_key(1)]] {
                let facts = store.look(&keys);
                let version = facts.facts.last().expect("as many as asked").version;
                assert!(version >= facts.began_at, "began at {} and found {version}", facts.began_at);
            }
        }
    });
}

pub fn law_14_looks_do_not_begin_before_those_ahead_of_them(harness: &mut Harness) {
    let store = harness.store();
    let newest = std::sync::atomic::AtomicU64::new(0);
    at_once(3, 150, |place, _| {
        if place == 0 {
            store.one(change(0, &[], &[]));
        } else {
            let before = newest.load(std::sync::atomic::Ordering::SeqCst);
            let facts = store.look(&[account_key(1)]);
            assert!(facts.began_at >= before && facts.read_at >= facts.began_at);
            newest.fetch_max(facts.began_at, std::sync::atomic::Ordering::SeqCst);
        }
    });
}

pub fn law_14_a_look_at_nothing_tells_where_the_ledger_stands(harness: &mut Harness) {
    for number in 1..=3 {
        harness.store().put(number, 1);
        let facts = harness.store().look(&[]);
        assert_eq!((facts.began_at, facts.read_at, facts.facts.len()), (number as u64, number as u64, 0));
    }
    harness.reopen();
    assert_eq!(harness.store().look(&[]).began_at, 3);
}

pub fn law_14_each_alone_is_as_all_together(harness: &mut Harness) {
    for number in 0..30 {
        harness.store().put(number * 3 % 17, i64::try_from(number).unwrap());
    }
    let keys: Vec<_> = (0..20).map(account_key).collect();
    for _ in 0..2 {
        let together = harness.store().look(&keys);
        for (place, key) in keys.iter().enumerate() {
            let alone = harness.store().look(&[*key]);
            assert_eq!(alone.facts[0].entity, together.facts[place].entity, "{key:?}");
        }
        harness.reopen();
    }
}
