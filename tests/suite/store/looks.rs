//! Law 14: a look is complete, and says how new it is.

use std::sync::Arc;

use gongji::domain::binding::{Caps, Spends, Tie};
use gongji::domain::ids::{BindingId, MemberId};
use gongji::domain::money::Money;
use gongji::domain::vocabulary::Relation;
use gongji::store::{Entity, Key};

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

/// The standing of a member for whom these may pay.
fn helped_by(number: u128, owners: &[u128]) -> Entity {
    let Entity::Standing(standing) = account(number, 1) else { panic!("not a standing") };
    let mut standing = (*standing).clone();
    standing.family.ties = (0..)
        .zip(owners)
        .map(|(place, owner)| Tie {
            binding: BindingId::from_u128(place),
            owner: MemberId::from_u128(*owner),
            relation: Relation::Spouse,
            spends: Spends::Yes,
            start: jiff::civil::date(2026, 1, 1),
            last_day: None,
            caps: Caps::default(),
            used_on: None,
            used_day: Money::ZERO,
            used_year: Money::ZERO,
            priority: 0,
            filed: 0,
        })
        .collect();
    Entity::Standing(Arc::new(standing))
}

/// What was asked for comes first, as a plain look finds it, and whatever comes with it is true.
pub fn law_14_what_comes_ahead_is_as_if_it_was_asked_for(harness: &mut Harness) {
    let store = harness.store();
    let leading = |number: u8| Key::Reference([number; 16]);
    // To a patient, to somebody who is not there, and nowhere.
    for (number, member) in [(1, 1), (2, 9)] {
        store.one(putting(leading(number), Entity::Reference(MemberId::from_u128(member))));
    }
    store.one(putting(account_key(1), helped_by(1, &[2, 3, 2, 9, 1])));
    store.put(2, 20);
    store.put(3, 30);
    for _ in 0..2 {
        let store = harness.store();
        for keys in [
            vec![request_key(1), leading(1)],
            vec![leading(1), leading(2), leading(3), account_key(3)],
            vec![account_key(1), leading(1), account_key(1)],
            vec![account_key(9)],
            vec![],
        ] {
            let ahead = block_on(store.load_ahead(&keys)).expect("loads");
            assert!(ahead.facts.len() >= keys.len(), "{keys:?}");
            let seen: Vec<Key> = ahead.facts.iter().map(|fact| fact.key).collect();
            assert_eq!(seen[..keys.len()], keys, "as asked");
            let plain = store.look(&seen);
            for (fact, plain) in ahead.facts.iter().zip(&plain.facts) {
                assert_eq!((fact.version, &fact.entity), (plain.version, &plain.entity), "{:?}", fact.key);
            }
            assert_eq!((ahead.began_at, ahead.read_at), (5, 5));
        }
        harness.reopen();
    }
}
