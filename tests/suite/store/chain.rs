//! Law 7: the chain, and time that never runs backwards.

use std::sync::Arc;

use gongji::store::memory::MemoryStore;
use gongji::store::{Change, Store};

use super::harness::*;

pub fn law_7_links_follow_from_the_records(harness: &mut Harness) {
    for number in 0..30 {
        harness.store().put(number, 1);
    }
    assert_chain(harness.store());
}

pub fn law_7_time_never_runs_backwards(harness: &mut Harness) {
    let store = harness.store();
    let mut seen = Vec::new();
    for now in [500, 300, 501, -7, 600] {
        seen.push(block_on(store.commit(vec![change(0, &[], &[])], at(now)))[0].expect("applies").at);
    }
    assert_eq!(seen, [500, 500, 501, 501, 600].map(at));
    assert_eq!(store.all().iter().map(|record| record.at).collect::<Vec<_>>(), seen);
    assert_chain(store);
}

pub fn law_7_the_head_is_the_last_record(harness: &mut Harness) {
    for number in 0..3 {
        harness.store().put(number, 1);
        let (head, records) = (harness.store().head_now(), harness.store().all());
        let last = records.last().expect("one at least");
        assert_eq!((head.position, head.link, head.at), (last.position, last.link, last.at));
        harness.reopen();
        assert_eq!(harness.store().head_now(), head);
    }
}

pub fn law_7_the_chain_goes_on_after_reopening(harness: &mut Harness) {
    for number in 0..4 {
        harness.store().put(number, 1);
        harness.reopen();
    }
    assert_chain(harness.store());
}

/// Changes of every sort, the same each time.
fn some_changes() -> Vec<Change> {
    (0..20_u8).map(|number| recorded(change(0, &[], &[(u128::from(number), 1)]), &[number; 20])).collect()
}

pub fn law_7_the_same_changes_give_the_same_chain(harness: &mut Harness) {
    let other: Arc<dyn Store> = Arc::new(MemoryStore::new([1; 32], u64::MAX));
    for (change, now) in some_changes().into_iter().zip([5, 3, 900, 900, 7].into_iter().cycle()) {
        let one = harness.store().try_at(change.clone(), now);
        assert_eq!(one, other.try_at(change, now));
    }
    assert_eq!((harness.store().head_now(), harness.store().all()), (other.head_now(), other.all()));
}

pub fn law_7_other_content_gives_another_chain(harness: &mut Harness) {
    let other: Arc<dyn Store> = Arc::new(MemoryStore::new(SECRET, u64::MAX));
    let mut changes = some_changes();
    for change in &changes {
        harness.store().one(change.clone());
    }
    changes[3] = recorded(changes[3].clone(), b"another");
    for change in changes {
        other.one(change);
    }
    let links = |store: &Arc<dyn Store>| store.all().into_iter().map(|record| record.link).collect::<Vec<_>>();
    let (mine, others) = (links(harness.store()), links(&other));
    assert_eq!(mine[..3], others[..3]);
    assert!(mine[3..].iter().zip(&others[3..]).all(|(one, two)| one != two), "from there on every link is another");
}

pub fn law_7_a_list_has_one_time(harness: &mut Harness) {
    let store = harness.store();
    let done = block_on(store.commit(some_changes(), at(777)));
    assert!(done.iter().all(|verdict| verdict.expect("applies").at == at(777)));
    assert!(store.all().iter().all(|record| record.at == at(777)));
}

pub fn law_7_a_verdict_tells_the_time_of_its_record(harness: &mut Harness) {
    let store = harness.store();
    for now in [10, 5, 10, 4_000, 1] {
        let done = store.try_at(change(0, &[], &[]), now).expect("applies");
        let record = block_on(store.records(done.position, 1)).expect("reads").remove(0);
        assert_eq!((record.position, record.at), (done.position, done.at));
        assert_eq!(store.head_now().at, done.at);
    }
}

pub fn law_7_time_goes_on_after_reopening(harness: &mut Harness) {
    harness.store().try_at(change(0, &[], &[]), 5_000).expect("applies");
    harness.reopen();
    assert_eq!(harness.store().head_now().at, at(5_000));
    let late = harness.store().try_at(change(0, &[], &[]), 4_000).expect("applies");
    assert_eq!(late.at, at(5_000), "a clock behind the last record does not count");
    harness.reopen();
    assert_eq!(harness.store().try_at(change(0, &[], &[]), 6_000).expect("applies").at, at(6_000));
}

pub fn law_7_time_goes_on_under_contention(harness: &mut Harness) {
    let store = harness.store();
    at_once(4, 60, |place, round| {
        let now = i64::try_from(round).unwrap() * 100 - i64::from(place) * 1_000;
        let done = store.try_at(change(0, &[], &[]), now).expect("applies");
        assert!(done.at >= at(now));
    });
    assert!(store.all().iter().map(|record| record.at).is_sorted());
    assert_chain(store);
}

pub fn law_7_microseconds_are_kept(harness: &mut Harness) {
    let now = 1_764_000_000_123_457;
    assert_eq!(harness.store().try_at(change(0, &[], &[]), now).expect("applies").at, at(now));
    for _ in 0..2 {
        assert_eq!((harness.store().head_now().at, harness.store().all()[0].at), (at(now), at(now)));
        harness.reopen();
    }
}

pub fn law_7_a_clock_before_the_first_moment_counts_as_it(harness: &mut Harness) {
    assert_eq!(harness.store().try_at(change(0, &[], &[]), -5_000).expect("applies").at, at(0));
    assert_chain(harness.store());
}

pub fn law_7_the_chain_is_whole_under_contention(harness: &mut Harness) {
    let store = harness.store();
    at_once(6, 40, |place, round| {
        let _ = verdicts(store, vec![change(0, &[], &[(u128::from(place), i64::try_from(round).unwrap())]); 2]);
    });
    assert_eq!(store.head_now().position, 480);
    assert_chain(store);
}

pub fn law_7_the_chain_goes_on_after_a_crash(harness: &mut Harness) {
    for _ in 0..2 {
        for number in 0..10 {
            harness.store().put(number, 1);
        }
        harness.crash();
        harness.store().put(1, 1);
        assert_chain(harness.store());
    }
}
