//! Law 16: a data set can be handed on.

use std::sync::Arc;
use std::task::{Context, Waker};

use gongji::store::kept::{KeptChange, Portable, TakeError};
use gongji::store::memory::MemoryStore;
use gongji::store::record::decode_entity;
use gongji::store::{CommitError, Key, ListKey, ListKind, Store, StoreError};

use super::harness::*;
use super::kinds;

fn door(harness: &Harness) -> &dyn Portable {
    harness.store().portable().expect("it hands on its data set")
}

/// Changes of every sort: facts of all kinds, some put again and again, requests, lists, times that stand still.
fn some_data() -> Arc<dyn Store> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(SECRET, u64::MAX));
    for number in 1..=40_u8 {
        let key = list(ListKind::AccountEntries, number % 3);
        let other = list(ListKind::PatientSettlements, number);
        let one = with_request(change(0, &[], &[(u128::from(number % 7), number.into()), (99, number.into())]), number);
        store.try_at(listed(one, &[(key, number.into()), (other, 9)]), 50 * i64::from(number / 4)).expect("applies");
    }
    for (key, entity) in kinds::all() {
        store.try_at(putting(key, entity), 5_000).expect("applies");
    }
    store
}

/// All that a store hands out, in one order.
fn all_of(store: &dyn Portable) -> Vec<KeptChange> {
    let mut changes = block_on(store.changes(1, usize::MAX)).expect("hands out");
    for change in &mut changes {
        change.facts.sort_unstable();
        change.lists.sort_unstable();
    }
    changes
}

fn handed_out(store: &Arc<dyn Store>) -> Vec<KeptChange> {
    all_of(store.portable().expect("it hands on its data set"))
}

fn take(harness: &Harness, changes: Vec<KeptChange>) -> Result<(), TakeError> {
    block_on(door(harness).take(changes))
}

/// Whether both answer everything alike.
fn assert_same(one: &Arc<dyn Store>, other: &Arc<dyn Store>) {
    assert_eq!((one.head_now(), one.all()), (other.head_now(), other.all()));
    let mut keys: Vec<Key> = kinds::all().into_iter().map(|(key, _)| key).collect();
    keys.extend((0..8).map(account_key).chain([account_key(99)]).chain((0..42).map(request_key)));
    let looks = [one, other].map(|store| {
        let facts = store.look(&keys).facts;
        facts.into_iter().map(|fact| (fact.version, fact.entity)).collect::<Vec<_>>()
    });
    assert_eq!(looks[0], looks[1]);
    for kind in ListKind::ALL {
        for of in 0..42 {
            let key = list(kind, of);
            assert_eq!(one.rows(key, 0, u64::MAX, 999), other.rows(key, 0, u64::MAX, 999), "{key:?}");
        }
    }
}

pub fn law_16_a_data_set_taken_in_is_the_same(harness: &mut Harness) {
    let source = some_data();
    assert_eq!(take(harness, handed_out(&source)), Ok(()));
    for _ in 0..2 {
        assert_same(harness.store(), &source);
        assert_chain(harness.store());
        harness.reopen();
    }
}

pub fn law_16_it_may_come_in_parts(harness: &mut Harness) {
    let source = some_data();
    for part in handed_out(&source).chunks(7) {
        assert_eq!(take(harness, part.to_vec()), Ok(()));
        assert_eq!(harness.store().head_now().position, part.last().expect("not empty").record.position);
        assert_eq!(take(harness, Vec::new()), Ok(()), "nothing is nothing");
    }
    assert_same(harness.store(), &source);
}

pub fn law_16_what_does_not_follow_is_not_taken(harness: &mut Harness) {
    let changes = handed_out(&some_data());
    assert_eq!(take(harness, changes[1..3].to_vec()), Err(TakeError::DoesNotFollow(2)), "a gap");
    assert_eq!(take(harness, changes[..10].to_vec()), Ok(()));
    let head = harness.store().head_now();
    assert_eq!(take(harness, changes[9..10].to_vec()), Err(TakeError::DoesNotFollow(10)), "again");
    let bends: [fn(&mut KeptChange); 5] = [
        |change| change.record.bytes.push(0),
        |change| change.record.content_hash[0] ^= 1,
        |change| change.record.link[31] ^= 1,
        |change| change.record.at = at(change.record.at.as_micros() + 1),
        |change| change.record.position += 1,
    ];
    for bend in bends {
        let mut other = changes[10].clone();
        bend(&mut other);
        let refused = Err(TakeError::DoesNotFollow(other.record.position));
        assert_eq!(take(harness, vec![other]), refused);
    }
    assert_eq!(harness.store().head_now(), head);
    assert_eq!(take(harness, changes[10..].to_vec()), Ok(()), "and the right one is");
}

pub fn law_16_of_a_list_with_a_wrong_one_nothing_is_taken(harness: &mut Harness) {
    let mut changes = handed_out(&some_data());
    changes[30].record.link[0] ^= 1;
    assert_eq!(take(harness, changes), Err(TakeError::DoesNotFollow(31)));
    for _ in 0..2 {
        assert_eq!(harness.store().all().len(), 0);
        assert_eq!(versions(&harness.store().look(&[account_key(1), request_key(1)])), [0, 0]);
        assert_eq!(harness.store().rows(list(ListKind::AccountEntries, 1), 0, u64::MAX, 9), []);
        harness.reopen();
    }
}

pub fn law_16_a_fact_that_cannot_be_read_is_not_taken(harness: &mut Harness) {
    let mut changes = handed_out(&some_data());
    let last = changes.iter().rposition(|change| !change.facts.is_empty()).expect("there are facts");
    changes[last].facts[0].1.truncate(1);
    let refused = take(harness, changes.clone());
    assert!(matches!(refused, Err(TakeError::Unreadable(position, _)) if position == last as u64 + 1), "{refused:?}");
    assert_eq!(harness.store().head_now().position, 0);
}

pub fn law_16_expectations_hold_against_what_was_taken_in(harness: &mut Harness) {
    take(harness, handed_out(&some_data())).expect("taken in");
    let store = harness.store();
    let seen = store.look(&[account_key(99), account_key(1_000)]);
    let stale = change(0, &[(account_key(99), 0)], &[(99, 1)]);
    assert_eq!(store.try_one(stale), Err(CommitError::Conflict));
    assert_eq!(store.try_one(with_request(change(0, &[], &[]), 7)), Err(CommitError::Duplicate));
    let expects = [(account_key(99), seen.facts[0].version), (account_key(1_000), 0)];
    assert!(store.try_one(change(seen.began_at, &expects, &[(99, 1)])).is_ok());
}

pub fn law_16_the_ledger_goes_on_behind_it(harness: &mut Harness) {
    let changes = handed_out(&some_data());
    let last = changes.last().expect("some").record.clone();
    take(harness, changes).expect("taken in");
    let done = harness.store().try_at(change(last.position, &[], &[(1, 5)]), 1).expect("applies");
    assert_eq!((done.position, done.at), (last.position + 1, last.at), "time does not run back behind it");
    harness.reopen();
    assert_chain(harness.store());
}

pub fn law_16_what_was_taken_in_and_waited_for_survives_a_crash(harness: &mut Harness) {
    let source = some_data();
    take(harness, handed_out(&source)).expect("taken in");
    harness.store().settled();
    harness.crash();
    assert_same(harness.store(), &source);
}

pub fn law_16_broken_off_it_goes_on(harness: &mut Harness) {
    let source = some_data();
    let changes = handed_out(&source);
    for part in changes.chunks(25) {
        let from = usize::try_from(harness.store().head_now().position).unwrap();
        let until = usize::try_from(part.last().expect("not empty").record.position).unwrap();
        take(harness, changes[from..until].to_vec()).expect("taken in");
        harness.crash();
        assert_chain(harness.store());
    }
    let from = usize::try_from(harness.store().head_now().position).unwrap();
    take(harness, changes[from..].to_vec()).expect("taken in");
    assert_same(harness.store(), &source);
}

pub fn law_16_changes_are_paged(harness: &mut Harness) {
    for number in 0..23 {
        harness.store().put(number, 1);
    }
    for _ in 0..2 {
        let page = |from, limit| {
            let changes = block_on(door(harness).changes(from, limit)).expect("hands out");
            changes.iter().map(|change| change.record.position).collect::<Vec<_>>()
        };
        assert_eq!((page(1, 4), page(20, 10)), (vec![1, 2, 3, 4], vec![20, 21, 22, 23]));
        assert_eq!(page(0, 2), [1, 2], "from before the first is from the first");
        assert_eq!((page(24, 5), page(u64::MAX, 5), page(3, 0)), (vec![], vec![], vec![]));
        harness.reopen();
    }
}

pub fn law_16_changes_carry_all_they_made(harness: &mut Harness) {
    let rows =
        |number: u8| vec![(list(ListKind::AccountEntries, 1), number.into()), (list(ListKind::YearCloses, 2), 5)];
    for number in 1..=30_u8 {
        let one = with_request(change(0, &[], &[(u128::from(number % 4), number.into())]), number);
        harness.store().one(listed(one, &rows(number)));
    }
    for _ in 0..2 {
        let changes = all_of(door(harness));
        let records: Vec<_> = changes.iter().map(|change| change.record.clone()).collect();
        assert_eq!(records, harness.store().all());
        for (number, change) in (1..).zip(&changes) {
            let expected: Vec<(ListKey, u128)> = rows(number);
            assert_eq!(change.lists, expected, "change {number}");
            assert!(change.facts.iter().any(|(key, _)| *key == request_key(number)), "change {number}");
            for (key, bytes) in &change.facts {
                let found = harness.store().look(&[*key]).facts.remove(0);
                let same = found.version == u64::from(number);
                assert!(found.version >= u64::from(number), "{key:?} of change {number}");
                assert!(!same || found.entity == decode_entity(bytes).ok(), "{key:?} of change {number}");
            }
        }
        for number in 27..=30_u8 {
            let facts = &changes[usize::from(number) - 1].facts;
            let newest = account_key(u128::from(number % 4));
            assert!(facts.iter().any(|(key, _)| *key == newest), "nobody put it again");
        }
        harness.reopen();
    }
}

pub fn law_16_there_and_back_is_the_same(harness: &mut Harness) {
    for number in 1..=30_u8 {
        let one = with_request(change(0, &[], &[(u128::from(number % 4), number.into())]), number);
        harness.store().one(listed(one, &[(list(ListKind::AccountEntries, number % 2), 1)]));
    }
    let other: Arc<dyn Store> = Arc::new(MemoryStore::new(SECRET, u64::MAX));
    let taken = block_on(other.portable().expect("a door").take(all_of(door(harness))));
    assert_eq!(taken, Ok(()));
    assert_same(harness.store(), &other);
}

pub fn law_16_whoever_waits_hears_of_what_is_taken_in(harness: &mut Harness) {
    let changes = handed_out(&some_data());
    let mut waits = [3, 10].map(|position| harness.store().wait_durable(position));
    let mut context = Context::from_waker(Waker::noop());
    assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut context).is_pending()));
    take(harness, changes[..5].to_vec()).expect("taken in");
    let [first, mut second] = waits;
    assert_eq!(block_on(first), Ok(()));
    assert!(second.as_mut().poll(&mut context).is_pending(), "only five have come");
}

pub fn law_16_a_closed_store_neither_gives_nor_takes(harness: &mut Harness) {
    let changes = handed_out(&some_data());
    take(harness, changes[..5].to_vec()).expect("taken in");
    block_on(harness.store().close()).expect("closes");
    assert_eq!(block_on(door(harness).changes(1, 9)), Err(StoreError::Closed));
    assert_eq!(take(harness, changes[5..9].to_vec()), Err(TakeError::Store(StoreError::Closed)));
}
