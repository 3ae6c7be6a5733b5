//! Law 5: one verdict per change, in order.

use gongji::store::{Change, CommitError, Head};

use super::harness::*;
use crate::process::Dice;

pub fn law_5_one_verdict_per_change_in_order(harness: &mut Harness) {
    let changes = (1..=10).map(|number| change(0, &[(account_key(number), 0)], &[(number, 1)])).collect();
    assert_eq!(verdicts(harness.store(), changes), (1..=10).map(Ok).collect::<Vec<_>>());
}

pub fn law_5_a_change_sees_those_before_it_in_the_list(harness: &mut Harness) {
    let seen = verdicts(
        harness.store(),
        vec![
            change(0, &[(account_key(1), 0)], &[(1, 10)]),
            change(0, &[(account_key(1), 0)], &[(1, 20)]),
            change(0, &[(account_key(1), 1)], &[(1, 30)]),
        ],
    );
    assert_eq!(seen, [Ok(1), Err(CommitError::Conflict), Ok(2)]);
    assert_eq!(fen_of(&harness.store().look(&[account_key(1)]), 0), Some(30));
}

pub fn law_5_a_refusal_in_the_middle_hinders_nobody(harness: &mut Harness) {
    let refused = change(0, &[(account_key(9), 3)], &[(2, 1)]);
    let seen = verdicts(harness.store(), vec![change(0, &[], &[(1, 1)]), refused, change(0, &[], &[(3, 1)])]);
    assert_eq!(seen, [Ok(1), Err(CommitError::Conflict), Ok(2)]);
    let facts = harness.store().look(&[account_key(1), account_key(2), account_key(3)]);
    assert_eq!(facts.facts.iter().map(|fact| fact.version).collect::<Vec<_>>(), [1, 0, 2]);
}

pub fn law_5_the_same_request_twice_in_a_list_counts_once(harness: &mut Harness) {
    let once = with_request(change(0, &[], &[(1, 1)]), 3);
    assert_eq!(verdicts(harness.store(), vec![once.clone(), once]), [Ok(1), Err(CommitError::Duplicate)]);
}

pub fn law_5_an_empty_list_has_no_verdicts(harness: &mut Harness) {
    assert_eq!(verdicts(harness.store(), vec![]), []);
    assert_eq!(harness.store().head_now(), Head::EMPTY);
}

pub fn law_5_a_long_list_is_judged_one_by_one(harness: &mut Harness) {
    let mut dice = Dice::new(5);
    let (mut known, mut expected, mut changes, mut position) = ([0_u64; 7], Vec::new(), Vec::new(), 0);
    for _ in 0..300 {
        let (number, of) = (dice.roll(7), dice.roll(7));
        let lies = dice.roll(3) == 0;
        let version = if lies { known[of] + 1 } else { known[of] };
        let key = account_key(of as u128);
        changes.push(change(0, &[(key, version)], &[(number as u128, 1)]));
        if lies {
            expected.push(Err(CommitError::Conflict));
        } else {
            position += 1;
            known[number] = position;
            expected.push(Ok(position));
        }
    }
    assert_eq!(verdicts(harness.store(), changes), expected);
    let keys: Vec<_> = (0..7).map(account_key).collect();
    assert_eq!(versions(&harness.store().look(&keys)), known);
}

pub fn law_5_a_chain_of_changes_within_one_list(harness: &mut Harness) {
    let chain = (0..80).map(|step| change(0, &[(account_key(1), step)], &[(1, 1)])).collect();
    assert_eq!(verdicts(harness.store(), chain), (1..=80).map(Ok).collect::<Vec<_>>());
    assert_eq!(versions(&harness.store().look(&[account_key(1)])), [80]);
}

pub fn law_5_what_a_refused_change_would_have_put_is_not_seen_by_the_next(harness: &mut Harness) {
    let refused = change(0, &[(account_key(9), 1)], &[(1, 10)]);
    let next = change(0, &[(account_key(1), 0)], &[(1, 20)]);
    assert_eq!(verdicts(harness.store(), vec![refused, next]), [Err(CommitError::Conflict), Ok(1)]);
    assert_eq!(fen_of(&harness.store().look(&[account_key(1)]), 0), Some(20));
}

pub fn law_5_a_request_refused_is_still_free(harness: &mut Harness) {
    let refused = with_request(change(0, &[(account_key(9), 1)], &[]), 6);
    let again = with_request(change(0, &[(account_key(9), 0)], &[]), 6);
    let third = again.clone();
    let seen = verdicts(harness.store(), vec![refused, again, third]);
    assert_eq!(seen, [Err(CommitError::Conflict), Ok(1), Err(CommitError::Duplicate)]);
}

pub fn law_5_lists_of_many_at_once_keep_their_verdicts(harness: &mut Harness) {
    let store = harness.store();
    at_once(5, 30, |place, round| {
        let own = |number: u64| u128::from(place) * 10_000 + u128::from(round * 10 + number);
        let mut changes: Vec<Change> =
            (0..5).map(|number| change(0, &[(account_key(own(number)), 0)], &[(own(number), 1)])).collect();
        changes.insert(2, change(0, &[(account_key(own(0)), 0)], &[(own(7), 1)]));
        let seen = verdicts(store, changes);
        assert_eq!((seen.len(), seen[2]), (6, Err(CommitError::Conflict)));
        let positions: Vec<u64> = seen.iter().filter_map(|verdict| verdict.ok()).collect();
        let keys: Vec<_> = (0..5).map(|number| account_key(own(number))).collect();
        assert_eq!((positions.len(), &positions), (5, &versions(&store.look(&keys))));
        assert!(positions.is_sorted());
    });
    assert_chain(store);
}

pub fn law_5_a_verdict_names_its_own_record(harness: &mut Harness) {
    let bytes: Vec<Vec<u8>> = (0..20_u8).map(|number| vec![number; 9]).collect();
    let changes = bytes.iter().enumerate().map(|(place, bytes)| {
        let expects = [(account_key(1), u64::from(place % 3 == 1))];
        recorded(change(0, &expects, &[]), bytes)
    });
    let seen = verdicts(harness.store(), changes.collect());
    let records = harness.store().all();
    let taken: Vec<_> = seen.iter().zip(&bytes).filter_map(|(verdict, bytes)| Some((verdict.ok()?, bytes))).collect();
    assert_eq!(taken.len(), 13);
    assert_eq!(records.iter().map(|record| (record.position, &record.bytes)).collect::<Vec<_>>(), taken);
}

pub fn law_5_of_two_in_a_list_the_later_stays(harness: &mut Harness) {
    let both = vec![change(0, &[], &[(1, 10), (2, 10)]), change(0, &[], &[(1, 20)])];
    assert_eq!(verdicts(harness.store(), both), [Ok(1), Ok(2)]);
    for _ in 0..2 {
        let facts = harness.store().look(&[account_key(1), account_key(2)]);
        assert_eq!((versions(&facts), fen_of(&facts, 0), fen_of(&facts, 1)), (vec![2, 1], Some(20), Some(10)));
        harness.reopen();
    }
}

pub fn law_5_a_list_of_refusals_changes_nothing(harness: &mut Harness) {
    harness.store().put(1, 10);
    let head = harness.store().head_now();
    let refused = (0..10).map(|number| change(0, &[(account_key(1), 0)], &[(number, 1)])).collect();
    assert_eq!(verdicts(harness.store(), refused), [Err(CommitError::Conflict); 10]);
    assert_eq!(harness.store().head_now(), head);
    assert_eq!(harness.store().put(1, 11), 2);
}
