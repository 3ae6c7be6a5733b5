//! Law 1: absence is version 0.

use gongji::domain::ids::{MemberId, RegionCode, SettlementId};
use gongji::store::{CommitError, Entity, Head, Key};
use jiff::civil::date;

use super::harness::*;
use super::kinds;

pub fn law_1_what_was_never_written_is_absent_with_version_zero(harness: &mut Harness) {
    let keys = [account_key(1), request_key(1), Key::Settlement(SettlementId::from_u128(1)), Key::Policy([1; 32])];
    let facts = harness.store().look(&keys);
    assert_eq!((facts.began_at, facts.read_at), (0, 0));
    for (fact, key) in facts.facts.iter().zip(keys) {
        assert_eq!((fact.key, fact.version, fact.entity.is_none()), (key, 0, true));
    }
    assert_eq!(harness.store().head_now(), Head::EMPTY);
}

pub fn law_1_a_refused_change_leaves_its_keys_absent(harness: &mut Harness) {
    let store = harness.store();
    assert_eq!(store.try_one(change(0, &[(account_key(1), 5)], &[(2, 10)])), Err(CommitError::Conflict));
    let facts = store.look(&[account_key(1), account_key(2)]);
    assert!(facts.facts.iter().all(|fact| fact.version == 0 && fact.entity.is_none()));
}

pub fn law_1_every_kind_of_fact_is_absent_at_first(harness: &mut Harness) {
    let keys: Vec<Key> = kinds::all().into_iter().map(|(key, _)| key).collect();
    let facts = harness.store().look(&keys);
    for fact in facts.facts {
        assert_eq!((fact.version, fact.entity), (0, None), "{:?}", fact.key);
    }
}

pub fn law_1_kinds_do_not_share_names(harness: &mut Harness) {
    let (id, hash) = (MemberId::from_u128(9), 9_u128.to_be_bytes());
    harness.store().put(9, 10);
    let others = [
        Key::Person(id),
        Key::Wards(id),
        Key::Card(id),
        Key::Wallet(id),
        Key::Slips(id),
        Key::Certification(id),
        Key::Settlement(SettlementId::from_u128(9)),
        Key::Basis(SettlementId::from_u128(9)),
        Key::Request(hash),
        Key::Reference(hash),
        Key::Decided(hash),
    ];
    for _ in 0..2 {
        let facts = harness.store().look(&others);
        assert!(facts.facts.iter().all(|fact| fact.version == 0 && fact.entity.is_none()), "{facts:?}");
        harness.reopen();
    }
}

pub fn law_1_names_that_differ_in_one_bit_are_two(harness: &mut Harness) {
    let name = 0x0193_5b00_0000_7000_8000_0000_0000_0001_u128;
    harness.store().put(name, 10);
    for _ in 0..2 {
        let keys: Vec<Key> = (0..128).map(|bit| account_key(name ^ (1 << bit))).collect();
        let facts = harness.store().look(&keys);
        assert_eq!(facts.facts.iter().filter(|fact| fact.version > 0).count(), 0);
        harness.reopen();
    }
}

pub fn law_1_the_order_of_a_pair_is_part_of_its_name(harness: &mut Harness) {
    let (one, other) = (MemberId::from_u128(1), MemberId::from_u128(2));
    let used = kinds::of("aid-use").remove(0).1;
    harness.store().one(putting(Key::AidUse(one, other), used));
    for _ in 0..2 {
        let facts = harness.store().look(&[Key::AidUse(other, one), Key::AidUse(one, other), Key::AidUse(one, one)]);
        assert_eq!(versions(&facts), [0, 1, 0]);
        harness.reopen();
    }
}

pub fn law_1_days_and_years_are_part_of_names(harness: &mut Harness) {
    let (id, region) = (MemberId::from_u128(1), RegionCode::from_u32(330_100).expect("a code"));
    let day = |text: &str| -> Entity { kinds::of(text).remove(0).1 };
    harness.store().one(putting(Key::WalletDay(id, date(2026, 1, 2)), day("wallet-day")));
    harness.store().one(putting(Key::YearClose(region, 2025), day("year-close")));
    for _ in 0..2 {
        let facts = harness.store().look(&[
            Key::WalletDay(id, date(2026, 2, 1)),
            Key::WalletDay(id, date(2026, 1, 2)),
            Key::YearClose(region, 2024),
            Key::YearClose(region, 2025),
        ]);
        assert_eq!(versions(&facts), [0, 1, 0, 2]);
        harness.reopen();
    }
}

pub fn law_1_absence_holds_after_reopening(harness: &mut Harness) {
    harness.store().put(1, 10);
    harness.reopen();
    let facts = harness.store().look(&[account_key(2), request_key(1)]);
    assert_eq!(versions(&facts), [0, 0]);
    let change = change(facts.began_at, &[(account_key(2), 0), (request_key(1), 0)], &[(2, 20)]);
    assert_eq!(harness.store().one(change), 2, "and may be expected");
}

pub fn law_1_what_a_duplicate_would_have_put_is_absent(harness: &mut Harness) {
    let store = harness.store();
    store.one(with_request(change(0, &[], &[(1, 10)]), 3));
    assert_eq!(store.try_one(with_request(change(0, &[], &[(2, 10)]), 3)), Err(CommitError::Duplicate));
    assert_eq!(versions(&store.look(&[account_key(2)])), [0]);
}
