//! Law 9: durable means kept.

use std::sync::Mutex;
use std::task::{Context, Poll, Waker};
use std::thread;

use gongji::store::{CommitError, ListKind, StoreError};

use super::harness::*;

pub fn law_9_what_is_durable_survives_a_crash(harness: &mut Harness) {
    let key = list(ListKind::AccountEntries, 5);
    for number in 1..=20 {
        harness.store().one(listed(change(0, &[], &[(number, 5), (100, 6)]), &[(key, number)]));
    }
    let (head, records) = (harness.store().head_now(), harness.store().all());
    harness.store().settled();
    harness.crash();
    let store = harness.store();
    assert_eq!((store.head_now(), store.all()), (head, records));
    assert_eq!(store.rows(key, 0, 99, 99), (1..=20).map(|n| (n, u128::from(n))).collect::<Vec<_>>());
    let facts = store.look(&[account_key(1), account_key(20), account_key(100)]);
    assert_eq!(facts.facts.iter().map(|fact| fact.version).collect::<Vec<_>>(), [1, 20, 20]);
    assert_eq!(store.put(1, 7), 21);
}

pub fn law_9_after_a_crash_there_is_a_prefix(harness: &mut Harness) {
    for round in 0..4 {
        for number in 0..40 {
            harness.store().put(number, round);
        }
        let before = harness.store().all();
        harness.crash();
        let after = harness.store().all();
        assert_eq!(after, before[..after.len()], "a prefix, whole");
        assert_chain(harness.store());
        let facts = harness.store().look(&(0..40).map(account_key).collect::<Vec<_>>());
        assert!(facts.facts.iter().all(|fact| fact.version <= harness.store().head_now().position));
    }
}

pub fn law_9_closing_makes_everything_durable(harness: &mut Harness) {
    for number in 0..100 {
        harness.store().put(number, 1);
    }
    let (head, records) = (harness.store().head_now(), harness.store().all());
    harness.reopen();
    harness.crash();
    assert_eq!((harness.store().head_now(), harness.store().all()), (head, records));
}

pub fn law_9_waiting_for_the_past_is_no_waiting(harness: &mut Harness) {
    let store = harness.store();
    assert_eq!(block_on(store.wait_durable(0)), Ok(()));
    store.put(1, 1);
    store.settled();
    let mut again = store.wait_durable(1);
    let mut context = Context::from_waker(Waker::noop());
    assert_eq!(again.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}

pub fn law_9_a_position_that_nobody_has_taken_is_waited_for(harness: &mut Harness) {
    let store = harness.store();
    let mut context = Context::from_waker(Waker::noop());
    let mut waits = [1, 2].map(|position| store.wait_durable(position));
    assert!(waits.iter_mut().all(|wait| wait.as_mut().poll(&mut context).is_pending()));
    let [first, mut second] = waits;
    let waiter = {
        let store = store.clone();
        thread::spawn(move || block_on(store.wait_durable(1)))
    };
    store.put(1, 1);
    assert_eq!((block_on(first), waiter.join().expect("runs")), (Ok(()), Ok(())));
    assert!(second.as_mut().poll(&mut context).is_pending(), "only the first has come");
    block_on(store.close()).expect("closes");
    assert_eq!(block_on(second), Err(StoreError::Closed), "and now it never will");
}

pub fn law_9_many_wait_at_once(harness: &mut Harness) {
    let store = harness.store();
    // Several to a thread, so that one wake must serve many.
    at_once(6, 20, |place, _| {
        let waits: Vec<_> = (0..20).map(|_| store.wait_durable(store.put(u128::from(place), 1))).collect();
        waits.into_iter().rev().for_each(|wait| assert_eq!(block_on(wait), Ok(())));
    });
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move {
                    let verdicts = store.commit(vec![change(0, &[], &[(number, 1)])], at(1)).await;
                    store.wait_durable(verdicts[0].expect("applies").position).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.expect("runs"), Ok(()));
        }
    });
}

pub fn law_9_a_waiter_that_gives_up_hinders_nobody(harness: &mut Harness) {
    let store = harness.store();
    for _ in 0..50 {
        let mut waits: Vec<_> = (0..6).map(|_| store.wait_durable(store.put(1, 1))).collect();
        let mut context = Context::from_waker(Waker::noop());
        waits.retain_mut(|wait| wait.as_mut().poll(&mut context).is_pending());
        // Whichever of them was chosen to be woken may be among the dropped.
        let last = waits.pop();
        drop(waits);
        assert_eq!(last.map_or(Ok(()), block_on), Ok(()));
    }
}

pub fn law_9_waiting_for_one_keeps_all_before_it(harness: &mut Harness) {
    for number in 1..=20 {
        harness.store().put(number, 1);
    }
    let records = harness.store().all();
    block_on(harness.store().wait_durable(13)).expect("durable");
    harness.crash();
    let kept = harness.store().all();
    assert!(kept.len() >= 13 && kept[..] == records[..kept.len()]);
}

pub fn law_9_crashing_again_changes_nothing(harness: &mut Harness) {
    for number in 0..20 {
        harness.store().put(number, 1);
    }
    block_on(harness.store().wait_durable(15)).expect("durable");
    harness.crash();
    let (head, records) = (harness.store().head_now(), harness.store().all());
    for _ in 0..2 {
        harness.crash();
        assert_eq!((harness.store().head_now(), harness.store().all()), (head, records.clone()));
    }
}

pub fn law_9_what_a_crash_took_can_be_done_again(harness: &mut Harness) {
    for round in 0..3 {
        let once = |harness: &Harness| {
            let seen = harness.store().look(&[request_key(round)]);
            assert!(seen.facts[0].version == 0, "it is free");
            harness.store().one(with_request(change(seen.began_at, &[], &[(u128::from(round), 1)]), round));
        };
        once(harness);
        harness.crash();
        if harness.store().look(&[request_key(round)]).facts[0].version == 0 {
            once(harness);
        }
        let facts = harness.store().look(&[request_key(round), account_key(round.into())]);
        assert!(facts.facts[0].version > 0 && facts.facts[0].version == facts.facts[1].version);
        assert_eq!(harness.store().all().len(), usize::from(round) + 1, "once");
        harness.store().settled();
    }
}

pub fn law_9_requests_survive_a_crash(harness: &mut Harness) {
    harness.store().one(with_request(change(0, &[], &[(1, 1)]), 1));
    harness.store().settled();
    harness.crash();
    let facts = harness.store().look(&[request_key(1)]);
    assert_eq!((facts.facts[0].version, &facts.facts[0].entity), (1, &Some(request("1"))));
    let again = with_request(change(facts.began_at, &[], &[(1, 2)]), 2);
    harness.store().one(again);
    let blind = with_request(change(facts.began_at, &[], &[]), 2);
    assert_eq!(harness.store().try_one(blind), Err(CommitError::Duplicate));
}

pub fn law_9_nothing_acknowledged_is_lost_under_contention(harness: &mut Harness) {
    let acknowledged = Mutex::new(Vec::new());
    let store = harness.store();
    at_once(5, 20, |place, round| {
        let number = u128::from(place) * 1_000 + u128::from(round);
        let position = store.one(change(0, &[], &[(number, 1)]));
        block_on(store.wait_durable(position)).expect("durable");
        acknowledged.lock().unwrap().push((number, position));
    });
    harness.crash();
    for (number, position) in acknowledged.into_inner().unwrap() {
        assert_eq!(versions(&harness.store().look(&[account_key(number)])), [position]);
    }
    assert_chain(harness.store());
}

pub fn law_9_list_rows_after_a_crash_are_a_prefix(harness: &mut Harness) {
    let key = list(ListKind::InstitutionSettlements, 2);
    for number in 1..=50 {
        harness.store().one(listed(change(0, &[], &[]), &[(key, number)]));
        if number == 20 {
            harness.store().settled();
        }
    }
    harness.crash();
    let head = harness.store().head_now().position;
    assert!(head >= 20);
    assert_eq!(harness.store().rows(key, 0, u64::MAX, usize::MAX), numbered(1..=head));
}

pub fn law_9_what_reopening_shows_is_durable(harness: &mut Harness) {
    for number in 0..20 {
        harness.store().put(number, 1);
    }
    harness.reopen();
    let (head, records) = (harness.store().head_now(), harness.store().all());
    assert_eq!(block_on(harness.store().wait_durable(head.position)), Ok(()));
    harness.crash();
    assert_eq!((harness.store().head_now(), harness.store().all()), (head, records));
}
