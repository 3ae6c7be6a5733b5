//! Law 8: a commit is seen at once, and never unseen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use gongji::store::ListKind;

use super::harness::*;

/// Set when this is dropped, however that comes: who waits for it must not wait for ever.
struct SetAtEnd<'a>(&'a AtomicBool);

impl Drop for SetAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

pub fn law_8_a_commit_is_seen_at_once(harness: &mut Harness) {
    let store = harness.store();
    at_once(4, 200, |place, round| {
        let number = u128::from(place);
        let position = store.put(number, i64::try_from(round).unwrap());
        let facts = store.look(&[account_key(number)]);
        assert_eq!((facts.facts[0].version, fen_of(&facts, 0)), (position, Some(i64::try_from(round).unwrap())));
        assert!(facts.began_at >= position && store.head_now().position >= position);
    });
}

/// Two accounts always sum to 1000. A reader that adds what it saw and puts the sum down may be torn in what it sees,
/// never in what it makes true.
pub fn law_8_nothing_rests_on_a_torn_look(harness: &mut Harness) {
    let store = harness.store();
    store.one(change(0, &[], &[(1, 1000), (2, 0), (3, 1000)]));
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _end = SetAtEnd(&done);
            for round in 0..2_000_i64 {
                let facts = store.look(&[account_key(1), account_key(2)]);
                let expects = [(account_key(1), facts.facts[0].version), (account_key(2), facts.facts[1].version)];
                let left = (round * 7) % 1000;
                store.one(change(facts.began_at, &expects, &[(1, left), (2, 1000 - left)]));
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let facts = store.look(&[account_key(1), account_key(2)]);
                let sum = fen_of(&facts, 0).unwrap() + fen_of(&facts, 1).unwrap();
                let expects = [(account_key(1), facts.facts[0].version), (account_key(2), facts.facts[1].version)];
                if store.try_one(change(facts.began_at, &expects, &[(3, sum)])).is_ok() {
                    assert_eq!(sum, 1000, "made true from {facts:?}");
                }
            }
        });
    });
    assert_eq!(fen_of(&store.look(&[account_key(3)]), 0), Some(1000));
}

pub fn law_8_money_is_neither_made_nor_lost_under_contention(harness: &mut Harness) {
    harness.store().one(change(0, &[], &[(0, 1_000), (1, 1_000), (2, 1_000), (3, 1_000)]));
    let store = harness.store();
    at_once(6, 200, |place, round| {
        let (from, to) = (u128::from(round % 4), u128::from((round + 1 + u64::from(place) % 3) % 4));
        let facts = store.look(&[account_key(from), account_key(to)]);
        let expects = [(account_key(from), facts.facts[0].version), (account_key(to), facts.facts[1].version)];
        let (from_fen, to_fen) = (fen_of(&facts, 0).unwrap(), fen_of(&facts, 1).unwrap());
        // Refused or not, the sum stays.
        let _ = store.try_one(change(facts.began_at, &expects, &[(from, from_fen - 3), (to, to_fen + 3)]));
    });
    harness.reopen();
    let facts = harness.store().look(&[account_key(0), account_key(1), account_key(2), account_key(3)]);
    assert_eq!((0..4).map(|place| fen_of(&facts, place).unwrap()).sum::<i64>(), 4_000);
}

pub fn law_8_a_commit_is_in_its_lists_at_once(harness: &mut Harness) {
    let store = harness.store();
    at_once(4, 80, |place, round| {
        let key = list(ListKind::AccountEntries, place);
        let position = store.one(listed(change(0, &[], &[]), &[(key, u128::from(round))]));
        let rows = store.rows(key, position - 1, u64::MAX, 9);
        assert_eq!(rows, [(position, u128::from(round))]);
    });
}

pub fn law_8_a_commit_is_in_the_records_at_once(harness: &mut Harness) {
    let store = harness.store();
    at_once(4, 80, |place, round| {
        let bytes = [place, u8::try_from(round).unwrap()];
        let position = store.one(recorded(change(0, &[], &[]), &bytes));
        let record = block_on(store.records(position, 1)).expect("reads").remove(0);
        assert_eq!((record.position, &record.bytes[..]), (position, &bytes[..]));
    });
}

pub fn law_8_a_key_never_goes_back(harness: &mut Harness) {
    let store = harness.store();
    let newest = AtomicU64::new(0);
    at_once(4, 200, |place, round| {
        if place == 0 {
            store.put(1, i64::try_from(round).unwrap());
        } else {
            let before = newest.load(Ordering::SeqCst);
            let version = store.look(&[account_key(1)]).facts[0].version;
            assert!(version >= before, "{version} after {before}");
            newest.fetch_max(version, Ordering::SeqCst);
        }
    });
}

pub fn law_8_what_one_commits_another_sees(harness: &mut Harness) {
    let store = harness.store();
    let answered = AtomicU64::new(0);
    at_once(3, 150, |place, round| {
        if place == 0 {
            answered.store(store.put(1, i64::try_from(round).unwrap()), Ordering::SeqCst);
        } else {
            let known = answered.load(Ordering::SeqCst);
            let facts = store.look(&[account_key(1)]);
            assert!(facts.facts[0].version >= known && facts.began_at >= known, "{known} was answered, {facts:?}");
        }
    });
}

pub fn law_8_the_head_never_goes_back(harness: &mut Harness) {
    let store = harness.store();
    let newest = AtomicU64::new(0);
    at_once(4, 150, |place, _| {
        if place == 0 {
            store.one(change(0, &[], &[]));
        }
        let before = newest.load(Ordering::SeqCst);
        let head = store.head_now().position;
        assert!(head >= before, "{head} after {before}");
        newest.fetch_max(head, Ordering::SeqCst);
    });
}

pub fn law_8_what_the_head_tells_is_there(harness: &mut Harness) {
    let store = harness.store();
    at_once(3, 150, |place, _| {
        if place == 0 {
            store.one(change(0, &[], &[]));
        } else {
            let head = store.head_now();
            let records = block_on(store.records(head.position.max(1), 1)).expect("reads");
            let link = records.first().map(|record| (record.position, record.link));
            assert!(head.position == 0 || link == Some((head.position, head.link)));
        }
    });
}
