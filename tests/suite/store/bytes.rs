//! Law 11: bytes come back as written. Facts of every kind are in `kinds.rs`.

use std::sync::Arc;

use gongji::store::chain::content_hash;
use gongji::store::{Change, Entity};

use super::harness::*;

pub fn law_11_bytes_come_back_as_written(harness: &mut Harness) {
    let every: Vec<Vec<u8>> =
        vec![vec![], vec![0], (0..=255).collect(), vec![0xff; 4097], "全民医保 🏥".as_bytes().to_vec()];
    for bytes in &every {
        let mut odd = change(0, &[], &[]);
        (odd.record, odd.content_hash) = (bytes.clone(), content_hash(bytes));
        harness.store().one(odd);
    }
    for _ in 0..2 {
        let records = harness.store().all();
        assert_eq!(records.iter().map(|record| record.bytes.clone()).collect::<Vec<_>>(), every);
        assert_chain(harness.store());
        harness.reopen();
    }
}

pub fn law_11_big_values_come_back(harness: &mut Harness) {
    let long = "长".repeat(700_000);
    let mut big = change(0, &[], &[]);
    big.puts.push((request_key(1), request(&long)));
    big.record = long.clone().into_bytes();
    big.content_hash = content_hash(&big.record);
    harness.store().one(big);
    for _ in 0..2 {
        let facts = harness.store().look(&[request_key(1)]);
        assert_eq!(facts.facts[0].entity, Some(request(&long)));
        assert_eq!(harness.store().all()[0].bytes, long.as_bytes());
        harness.reopen();
    }
}

pub fn law_11_records_are_paged(harness: &mut Harness) {
    for number in 0..23 {
        harness.store().put(number, 1);
    }
    for _ in 0..2 {
        let store = harness.store();
        let page = |from, limit| {
            let records = block_on(store.records(from, limit)).expect("reads");
            records.iter().map(|record| record.position).collect::<Vec<_>>()
        };
        assert_eq!(page(1, 4), [1, 2, 3, 4]);
        assert_eq!(page(20, 10), [20, 21, 22, 23]);
        assert_eq!(page(0, 2), [1, 2], "from before the first is from the first");
        assert_eq!((page(24, 5), page(u64::MAX, 5), page(3, 0)), (vec![], vec![], vec![]));
        harness.reopen();
    }
}

pub fn law_11_records_span_what_is_flushed_and_what_is_not(harness: &mut Harness) {
    let store = harness.store();
    for position in 1..=400_u64 {
        store.one(change(0, &[], &[]));
        let from = position.saturating_sub(20).max(1);
        let records = block_on(store.records(from, 50)).expect("reads");
        let positions: Vec<_> = records.iter().map(|record| record.position).collect();
        assert_eq!(positions, (from..=position).collect::<Vec<_>>());
    }
}

pub fn law_11_the_same_bytes_twice_are_two_records(harness: &mut Harness) {
    for _ in 0..3 {
        harness.store().one(recorded(change(0, &[], &[]), b"again"));
    }
    for _ in 0..2 {
        let records = harness.store().all();
        assert!(records.len() == 3 && records.iter().all(|record| record.bytes == b"again"));
        assert_ne!(records[0].link, records[1].link);
        harness.reopen();
    }
}

pub fn law_11_pages_of_a_long_ledger_meet(harness: &mut Harness) {
    let all = 4_300;
    for part in 0..4_u64 {
        let changes = (0..all / 4).map(|number| recorded(change(0, &[], &[]), &(part * all + number).to_be_bytes()));
        assert!(verdicts(harness.store(), changes.collect()).iter().all(Result::is_ok));
    }
    for _ in 0..2 {
        for (from, limit) in [(1, 4_300), (4_090, 12), (4_096, 1), (4_097, 1), (4_299, 9), (2_000, 2_300)] {
            let records = block_on(harness.store().records(from, limit)).expect("reads");
            let until = (from + limit as u64 - 1).min(all);
            let positions: Vec<u64> = records.iter().map(|record| record.position).collect();
            assert_eq!(positions, (from..=until).collect::<Vec<_>>());
        }
        harness.reopen();
    }
}

pub fn law_11_a_value_grows_and_shrinks(harness: &mut Harness) {
    for length in [10, 5_000, 3, 0, 70_000, 1] {
        let value = request(&"x".repeat(length));
        harness.store().one(putting(request_key(1), value.clone()));
        assert_eq!(harness.store().look(&[request_key(1)]).facts[0].entity, Some(value));
    }
    harness.reopen();
    assert_eq!(harness.store().look(&[request_key(1)]).facts[0].entity, Some(request("x")));
}

pub fn law_11_strange_texts_come_back(harness: &mut Harness) {
    let texts = [
        "'; drop table facts; --",
        "\"\\\\ \\x00 %s {} $1 ?",
        "\u{feff}\u{202e}逆\u{200b}零宽",
        "a\r\n\tb\u{1b}[0m",
        "𠮷野家👨‍👩‍👧‍👦",
        " leading and trailing ",
        "",
    ];
    for (place, text) in (0..).zip(texts) {
        harness.store().one(putting(request_key(place), request(text)));
    }
    let keys: Vec<_> = (0..7).map(request_key).collect();
    for _ in 0..2 {
        for (fact, text) in harness.store().look(&keys).facts.into_iter().zip(texts) {
            assert_eq!(fact.entity, Some(request(text)), "{text:?}");
        }
        harness.reopen();
    }
}

pub fn law_11_several_big_values_in_one_look(harness: &mut Harness) {
    let value = |place: u8| request(&char::from(b'a' + place).to_string().repeat(300_000));
    for place in 0..5 {
        harness.store().one(putting(request_key(place), value(place)));
    }
    let keys: Vec<_> = (0..5).rev().map(request_key).collect();
    for _ in 0..2 {
        for (fact, place) in harness.store().look(&keys).facts.into_iter().zip((0..5).rev()) {
            assert_eq!(fact.entity, Some(value(place)));
        }
        harness.reopen();
    }
}

pub fn law_11_records_hold_after_a_crash(harness: &mut Harness) {
    for number in 0..20_u8 {
        harness.store().one(recorded(change(0, &[], &[]), &vec![number; usize::from(number) * 100]));
    }
    let records = harness.store().all();
    harness.store().settled();
    harness.crash();
    assert_eq!(harness.store().all(), records);
}

pub fn law_11_the_hash_is_kept_as_it_was_given(harness: &mut Harness) {
    let mut odd = change(0, &[], &[]);
    odd.content_hash = [0xab; 32];
    harness.store().one(odd);
    for _ in 0..2 {
        assert_eq!(harness.store().all()[0].content_hash, [0xab; 32]);
        harness.reopen();
    }
}

/// Whether somebody looked before or not, and within one list too: a name may lie apart from the rest of its fact.
pub fn law_11_a_name_changes_and_changes_back(harness: &mut Harness) {
    let named = |name: &str| {
        let Entity::Standing(standing) = account(1, 1) else { panic!("not a standing") };
        let mut standing = (*standing).clone();
        standing.masked_name = name.into();
        Entity::Standing(Arc::new(standing))
    };
    let naming = |version: u64, name: &str| -> Change {
        let mut change = change(version, &[(account_key(1), version)], &[]);
        change.puts.push((account_key(1), named(name)));
        change
    };
    let looks = |harness: &Harness, version: u64, name: &str| {
        let found = harness.store().look(&[account_key(1)]);
        assert_eq!((found.facts[0].version, &found.facts[0].entity), (version, &Some(named(name))));
    };
    harness.store().one(naming(0, "甲*"));
    looks(harness, 1, "甲*");
    for (version, name) in [(1, "乙*"), (2, "乙*"), (3, "甲*")] {
        harness.store().one(naming(version, name));
        looks(harness, version + 1, name);
    }
    // Nobody has looked since version 4.
    assert_eq!(
        verdicts(harness.store(), vec![naming(4, "丙*"), naming(5, "甲*"), naming(6, "丁*")]),
        [Ok(5), Ok(6), Ok(7)]
    );
    harness.store().one(naming(7, "甲*"));
    harness.reopen();
    looks(harness, 8, "甲*");
    harness.store().one(putting(account_key(1), named("戊*")));
    looks(harness, 9, "戊*");
}
