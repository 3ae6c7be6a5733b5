//! The canaries: what is wrong, the law that it breaks, and the check that has to find it.

use gongji::domain::time::Moment;
use gongji::store::{Change, CommitError, Entity, Facts, Key, StoreError};
use gongji::store::{Store, chain::content_hash};

use super::bend::{Bend, Notes, Verdict, lock};
use crate::store::block_on;

pub struct Canary {
    pub law: usize,
    pub what: &'static str,
    pub caught_by: &'static str,
    pub bend: Bend,
}

const NO_BEND: Bend = Bend {
    key: None,
    facts: None,
    changes: None,
    now: None,
    verdicts: None,
    stored: None,
    asked: None,
    rows: None,
    head: None,
    kept: None,
    taken: None,
    forgets: None,
    never_waits: false,
    closing_keeps_nothing: false,
    forgets_its_secret: false,
    stops_at_a_refusal: false,
    answers_when_closed: false,
};

const fn canary(law: usize, what: &'static str, caught_by: &'static str, bend: Bend) -> Canary {
    Canary { law, what, caught_by, bend }
}

const fn facts(law: usize, what: &'static str, caught_by: &'static str, bend: fn(&Notes, &mut Facts)) -> Canary {
    canary(law, what, caught_by, Bend { facts: Some(bend), ..NO_BEND })
}

/// A change that goes in otherwise than it was asked for.
const fn change(law: usize, what: &'static str, caught_by: &'static str, bend: fn(&Notes, &mut Vec<Change>)) -> Canary {
    canary(law, what, caught_by, Bend { changes: Some(bend), ..NO_BEND })
}

const fn verdicts(
    law: usize,
    what: &'static str,
    caught_by: &'static str,
    bend: fn(&Notes, &[Change], &mut Vec<Verdict>),
) -> Canary {
    canary(law, what, caught_by, Bend { verdicts: Some(bend), ..NO_BEND })
}

fn is_request(key: &Key) -> bool {
    matches!(key, Key::Request(_))
}

/// Every second look at the same keys finds what the one before found.
fn stale(notes: &Notes, facts: &mut Facts) {
    let keys: Vec<Key> = facts.facts.iter().map(|fact| fact.key).collect();
    let before = lock(&notes.looks).insert(keys, facts.clone());
    if let Some(before) = before.filter(|_| notes.call().is_multiple_of(2)) {
        *facts = before;
    }
}

/// Judges every change of a list by what was there before the list.
#[allow(clippy::ptr_arg, reason = "of the shape that the table asks for")]
fn judged_at_once(notes: &Notes, changes: &mut Vec<Change>) {
    let holds = |change: &Change| change.expects.iter().all(|(key, version)| notes.version(key) == *version);
    let verdicts: Vec<bool> = changes.iter().map(holds).collect();
    for (change, holds) in changes.iter_mut().zip(verdicts) {
        if holds {
            change.expects.clear();
        }
    }
}

fn committed(notes: &Notes, change: Change, now: Moment) -> Verdict {
    block_on(notes.inner.commit(vec![change], now)).remove(0)
}

fn empty() -> Change {
    let (expects, puts, record, lists) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    Change { began_at: 0, expects, puts, content_hash: content_hash(&record), record, lists, before: None }
}

pub const CANARIES: &[Canary] = &[
    facts(1, "what is absent has version 1", "law_1_what_was_never_written_is_absent_with_version_zero", |_, facts| {
        facts.facts.iter_mut().for_each(|fact| fact.version = fact.version.max(1));
    }),
    canary(
        1,
        "facts of a person share one name",
        "law_1_kinds_do_not_share_names",
        Bend {
            key: Some(|key| match key {
                Key::Person(id) | Key::Wallet(id) | Key::Card(id) => Key::Standing(*id),
                other => *other,
            }),
            ..NO_BEND
        },
    ),
    canary(
        1,
        "a pair has no order",
        "law_1_the_order_of_a_pair_is_part_of_its_name",
        Bend {
            key: Some(|key| match key {
                Key::AidUse(one, other) => Key::AidUse(*one.min(other), *one.max(other)),
                other => *other,
            }),
            ..NO_BEND
        },
    ),
    canary(
        2,
        "a version counts writes",
        "law_2_all_facts_of_a_change_share_its_position",
        Bend {
            verdicts: Some(|notes, asked, verdicts| {
                for (change, _) in asked.iter().zip(verdicts).filter(|(_, verdict)| verdict.is_ok()) {
                    change.puts.iter().for_each(|(key, _)| *lock(&notes.writes).entry(*key).or_default() += 1);
                }
            }),
            facts: Some(|notes, facts| {
                for fact in facts.facts.iter_mut().filter(|fact| fact.version > 0) {
                    fact.version = lock(&notes.writes).get(&fact.key).copied().unwrap_or(fact.version);
                }
            }),
            ..NO_BEND
        },
    ),
    change(
        2,
        "the same value again is not written",
        "law_2_the_same_value_again_is_a_new_version",
        |notes, changes| {
            for change in changes {
                change.puts.retain(|(key, entity)| {
                    let there = block_on(notes.inner.load(&[*key]));
                    there.is_ok_and(|there| there.facts[0].entity.as_ref() != Some(entity))
                });
            }
        },
    ),
    change(2, "of a fact put twice the first counts", "law_2_of_a_fact_put_twice_the_last_counts", |_, changes| {
        changes.iter_mut().for_each(|change| change.puts.reverse());
    }),
    facts(2, "a version is kept in one byte", "law_2_versions_past_one_byte_stay_apart", |_, facts| {
        facts.facts.iter_mut().filter(|fact| fact.version > 255).for_each(|fact| fact.version %= 256);
    }),
    change(3, "the last fact of a change is lost", "law_3_a_change_is_there_with_all_its_parts", |_, changes| {
        for change in changes.iter_mut().filter(|change| change.puts.len() > 1) {
            change.puts.pop();
        }
    }),
    change(3, "list rows of a change are lost", "law_3_a_change_of_list_rows_alone", |_, changes| {
        changes.iter_mut().for_each(|change| change.lists.clear());
    }),
    change(3, "a large change is cut at 200 facts", "law_3_a_large_change_is_whole", |_, changes| {
        changes.iter_mut().for_each(|change| change.puts.truncate(200));
    }),
    canary(
        3,
        "what a refused change put stays",
        "law_3_a_refused_change_leaves_nothing",
        Bend {
            verdicts: Some(|notes, asked, verdicts| {
                for (change, _) in asked.iter().zip(verdicts).filter(|(_, verdict)| verdict.is_err()) {
                    lock(&notes.refused).extend(change.puts.iter().cloned());
                }
            }),
            facts: Some(|notes, facts| {
                for fact in facts.facts.iter_mut().filter(|fact| fact.version > 0) {
                    if let Some(entity) = lock(&notes.refused).remove(&fact.key) {
                        fact.entity = Some(entity);
                    }
                }
            }),
            ..NO_BEND
        },
    ),
    change(4, "nothing is compared", "law_4_a_version_that_has_moved_conflicts", |_, changes| {
        changes.iter_mut().for_each(|change| change.expects.clear());
    }),
    change(4, "absence is not compared", "law_4_absence_is_expected_like_a_version", |_, changes| {
        changes.iter_mut().for_each(|change| change.expects.retain(|(_, version)| *version > 0));
    }),
    change(
        4,
        "only the first expectation is compared",
        "law_4_each_place_among_the_expectations_counts",
        |_, changes| {
            changes.iter_mut().for_each(|change| change.expects.truncate(1));
        },
    ),
    change(4, "what is only read is not compared", "law_4_a_key_that_is_only_read_counts", |_, changes| {
        for change in changes {
            let puts: Vec<Key> = change.puts.iter().map(|(key, _)| *key).collect();
            change.expects.retain(|(key, _)| puts.contains(key));
        }
    }),
    change(4, "of a key expected twice the last counts", "law_4_a_key_expected_twice_must_hold_twice", |_, changes| {
        for change in changes {
            let all = change.expects.clone();
            let later = |place: usize, key: &Key| all[place + 1..].iter().any(|(other, _)| other == key);
            let kept = all.iter().enumerate().filter(|(place, (key, _))| !later(*place, key));
            change.expects = kept.map(|(_, expected)| *expected).collect();
        }
    }),
    verdicts(4, "a duplicate is told as a conflict", "law_4_a_taken_request_is_a_duplicate", |_, _, verdicts| {
        for verdict in verdicts.iter_mut().filter(|verdict| **verdict == Err(CommitError::Duplicate)) {
            *verdict = Err(CommitError::Conflict);
        }
    }),
    verdicts(
        4,
        "a conflict of a request is told as a duplicate",
        "law_4_the_first_expectation_that_fails_names_the_refusal",
        |_, asked, verdicts| {
            for (change, verdict) in asked.iter().zip(verdicts) {
                if *verdict == Err(CommitError::Conflict) && change.expects.iter().any(|(key, _)| is_request(key)) {
                    *verdict = Err(CommitError::Duplicate);
                }
            }
        },
    ),
    verdicts(4, "a repeat is done again", "law_4_one_request_of_many_at_once_counts", |notes, asked, verdicts| {
        for (change, verdict) in asked.iter().zip(verdicts) {
            if *verdict == Err(CommitError::Duplicate) {
                *verdict =
                    committed(notes, Change { expects: Vec::new(), ..change.clone() }, Moment::from_micros(1_000));
            }
        }
    }),
    change(
        4,
        "any change since the look is a conflict",
        "law_4_what_others_changed_hinders_nobody",
        |notes, changes| {
            let head = notes.head().position;
            for change in changes.iter_mut().filter(|change| change.began_at < head && !change.expects.is_empty()) {
                change.expects.push((Key::Policy([0xcc; 32]), 1));
            }
        },
    ),
    canary(
        5,
        "a refusal ends its list",
        "law_5_a_refusal_in_the_middle_hinders_nobody",
        Bend { stops_at_a_refusal: true, ..NO_BEND },
    ),
    change(
        5,
        "changes of a list do not see each other",
        "law_5_a_change_sees_those_before_it_in_the_list",
        judged_at_once,
    ),
    verdicts(5, "verdicts come in another order", "law_5_one_verdict_per_change_in_order", |_, _, verdicts| {
        verdicts.reverse();
    }),
    change(5, "a list is applied from its end", "law_5_of_two_in_a_list_the_later_stays", |_, changes| {
        changes.reverse();
    }),
    verdicts(5, "a verdict is missing", "law_5_a_list_of_refusals_changes_nothing", |_, _, verdicts| {
        if verdicts.len() > 1 {
            verdicts.retain(|verdict| verdict.is_ok());
        }
    }),
    verdicts(
        6,
        "a refusal takes a position",
        "law_6_positions_start_at_one_and_refusals_take_none",
        |notes, _, verdicts| {
            for _ in verdicts.iter().filter(|verdict| verdict.is_err()) {
                let _ = committed(notes, empty(), Moment::from_micros(0));
            }
        },
    ),
    verdicts(
        6,
        "a position is told one too high",
        "law_6_the_head_stands_where_the_last_commit_said",
        |_, _, verdicts| {
            verdicts.iter_mut().flatten().for_each(|done| done.position += 1);
        },
    ),
    canary(
        7,
        "a record tells the clock's time",
        "law_7_time_never_runs_backwards",
        Bend {
            verdicts: Some(|notes, asked, verdicts| {
                let now = asked.first().map_or(0, |change| change.began_at);
                for done in verdicts.iter().flatten() {
                    let at = Moment::from_micros(done.at.as_micros() - i64::try_from(now % 7).unwrap_or(0) - 3);
                    lock(&notes.clocks).insert(done.position, at);
                }
            }),
            stored: Some(|notes, records| {
                for record in records.iter_mut().filter(|record| record.position % 2 == 0) {
                    record.at = lock(&notes.clocks).get(&record.position).copied().unwrap_or(record.at);
                }
            }),
            ..NO_BEND
        },
    ),
    canary(
        7,
        "a link leads elsewhere",
        "law_7_links_follow_from_the_records",
        Bend {
            stored: Some(|_, records| {
                for record in records.iter_mut().filter(|record| record.position == 9) {
                    record.link[0] ^= 1;
                }
            }),
            ..NO_BEND
        },
    ),
    canary(
        7,
        "time is kept in milliseconds",
        "law_7_microseconds_are_kept",
        Bend { now: Some(|now| Moment::from_micros(now.as_micros() / 1_000 * 1_000)), ..NO_BEND },
    ),
    canary(
        7,
        "the head is not the last record",
        "law_7_the_head_is_the_last_record",
        Bend { head: Some(|_, head| head.link[5] ^= u8::from(head.position > 1)), ..NO_BEND },
    ),
    facts(8, "a look finds what an earlier one found", "law_8_a_commit_is_seen_at_once", stale),
    canary(
        8,
        "the newest list row comes late",
        "law_8_a_commit_is_in_its_lists_at_once",
        Bend {
            rows: Some(|notes, rows| {
                let head = notes.head().position;
                rows.pop_if(|row| row.position == head);
            }),
            ..NO_BEND
        },
    ),
    canary(
        8,
        "the newest record comes late",
        "law_8_a_commit_is_in_the_records_at_once",
        Bend {
            stored: Some(|notes, records| {
                let head = notes.head().position;
                records.pop_if(|record| record.position == head);
            }),
            ..NO_BEND
        },
    ),
    canary(9, "nothing is waited for", "law_9_what_is_durable_survives_a_crash", Bend { never_waits: true, ..NO_BEND }),
    canary(
        9,
        "a crash leaves a hole",
        "law_9_what_is_durable_survives_a_crash",
        Bend {
            forgets: Some(|steps| {
                if steps.len() > 1 {
                    steps.remove(steps.len() / 2);
                }
            }),
            ..NO_BEND
        },
    ),
    canary(
        9,
        "every crash takes one more",
        "law_9_crashing_again_changes_nothing",
        Bend { forgets: Some(|steps| drop(steps.pop())), ..NO_BEND },
    ),
    canary(
        9,
        "closing does not write the last changes",
        "law_9_closing_makes_everything_durable",
        Bend { closing_keeps_nothing: true, ..NO_BEND },
    ),
    canary(
        10,
        "the lower bound is inside",
        "law_10_rows_come_in_order_within_both_bounds",
        Bend { asked: Some(|asked| asked.after = asked.after.saturating_sub(1)), ..NO_BEND },
    ),
    canary(
        10,
        "the upper bound is outside",
        "law_10_bounds_may_lie_in_gaps",
        Bend { asked: Some(|asked| asked.until = asked.until.saturating_sub(1)), ..NO_BEND },
    ),
    canary(
        10,
        "the limit counts positions",
        "law_10_the_limit_counts_rows_and_not_positions",
        Bend {
            asked: Some(|asked| {
                let reach = asked.after.saturating_add(u64::try_from(asked.limit).unwrap_or(u64::MAX));
                asked.until = asked.until.min(reach);
            }),
            ..NO_BEND
        },
    ),
    canary(
        10,
        "a full page lacks its last row",
        "law_10_the_limit_cuts_and_nothing_else",
        Bend { asked: Some(|asked| asked.limit = asked.limit.saturating_sub(1)), ..NO_BEND },
    ),
    canary(
        10,
        "rows come newest first",
        "law_10_subjects_of_every_size",
        Bend { rows: Some(|_, rows| rows.reverse()), ..NO_BEND },
    ),
    change(10, "the first row of a position stays", "law_10_one_row_per_list_and_position", |_, changes| {
        changes.iter_mut().for_each(|change| change.lists.reverse());
    }),
    canary(
        10,
        "a subject's sign is lost",
        "law_10_subjects_of_every_size",
        Bend { rows: Some(|_, rows| rows.iter_mut().for_each(|row| row.subject &= u128::MAX >> 1)), ..NO_BEND },
    ),
    canary(
        11,
        "a record is cut at 4096 bytes",
        "law_11_bytes_come_back_as_written",
        Bend {
            stored: Some(|_, records| records.iter_mut().for_each(|record| record.bytes.truncate(4_096))),
            ..NO_BEND
        },
    ),
    facts(11, "texts are trimmed", "law_11_strange_texts_come_back", |_, facts| {
        for fact in &mut facts.facts {
            if let Some(Entity::Request(request)) = &fact.entity {
                let mut request = request.as_ref().clone();
                request.id = request.id.trim().to_owned();
                fact.entity = Some(Entity::Request(request.into()));
            }
        }
    }),
    facts(11, "a standing comes back without its holds", "law_11_a_standing_comes_back", |_, facts| {
        for fact in &mut facts.facts {
            if let Some(Entity::Standing(standing)) = &fact.entity {
                let mut standing = standing.as_ref().clone();
                standing.holds.clear();
                fact.entity = Some(Entity::Standing(standing.into()));
            }
        }
    }),
    change(11, "a fact is written once", "law_11_a_value_grows_and_shrinks", |notes, changes| {
        for change in changes {
            change.puts.retain(|(key, _)| !is_request(key) || notes.version(key) == 0);
        }
    }),
    canary(
        12,
        "a closed store finds nothing",
        "law_12_a_closed_store_says_so",
        Bend { answers_when_closed: true, ..NO_BEND },
    ),
    verdicts(12, "not applied is told as a conflict", "law_12_a_closed_store_judges_nothing", |_, _, verdicts| {
        for verdict in verdicts {
            if matches!(verdict, Err(CommitError::NotApplied(_))) {
                *verdict = Err(CommitError::Conflict);
            }
        }
    }),
    verdicts(12, "closed is told as unavailable", "law_12_a_closed_store_stays_closed", |_, _, verdicts| {
        for verdict in verdicts {
            if matches!(verdict, Err(CommitError::NotApplied(_))) {
                *verdict = Err(CommitError::NotApplied(StoreError::Unavailable));
            }
        }
    }),
    change(13, "an end is not looked at", "law_13_a_change_with_an_end_is_true_before_it_or_never", |_, changes| {
        changes.iter_mut().for_each(|change| change.before = None);
    }),
    canary(
        13,
        "an end is the last moment",
        "law_13_the_end_is_judged_by_the_time_of_the_record",
        Bend {
            changes: Some(|_, changes| {
                for change in changes {
                    change.before = change.before.map(|end| Moment::from_micros(end.as_micros().saturating_add(1)));
                }
            }),
            ..NO_BEND
        },
    ),
    change(13, "a list has one end", "law_13_each_change_of_a_list_has_its_own_end", |_, changes| {
        let first = changes.first().and_then(|change| change.before);
        changes.iter_mut().for_each(|change| change.before = change.before.and(first));
    }),
    facts(14, "what is absent is left out", "law_14_a_look_is_in_the_order_asked", |_, facts| {
        facts.facts.retain(|fact| fact.entity.is_some());
    }),
    facts(14, "a look is sorted by key", "law_14_a_look_is_in_the_order_asked", |_, facts| {
        facts.facts.sort_by_key(|fact| fact.key);
    }),
    facts(14, "a look claims to be newer than it is", "law_14_a_look_is_at_least_as_new_as_it_says", |notes, facts| {
        stale(notes, facts);
        facts.began_at = notes.head().position;
        facts.read_at = facts.began_at;
    }),
    facts(
        14,
        "a look at nothing knows nothing",
        "law_14_a_look_at_nothing_tells_where_the_ledger_stands",
        |_, facts| {
            if facts.facts.is_empty() {
                (facts.began_at, facts.read_at) = (0, 0);
            }
        },
    ),
    canary(
        15,
        "a new secret at every start",
        "law_15_the_secret_stays_with_the_data",
        Bend { forgets_its_secret: true, ..NO_BEND },
    ),
    canary(
        16,
        "what does not follow is made to follow",
        "law_16_what_does_not_follow_is_not_taken",
        Bend {
            taken: Some(|notes, changes| {
                let mut head = notes.head();
                for change in changes {
                    change.record.content_hash = content_hash(&change.record.bytes);
                    head = head.next(&change.record.content_hash, change.record.at);
                    (change.record.position, change.record.at, change.record.link) =
                        (head.position, head.at, head.link);
                }
            }),
            ..NO_BEND
        },
    ),
    canary(
        16,
        "list rows are not handed on",
        "law_16_changes_carry_all_they_made",
        Bend { kept: Some(|changes| changes.iter_mut().for_each(|change| change.lists.clear())), ..NO_BEND },
    ),
    canary(
        16,
        "requests are not handed on",
        "law_16_there_and_back_is_the_same",
        Bend {
            kept: Some(|changes| {
                changes.iter_mut().for_each(|change| change.facts.retain(|(key, _)| !is_request(key)));
            }),
            ..NO_BEND
        },
    ),
    canary(
        16,
        "facts are left out of what is taken in",
        "law_16_a_data_set_taken_in_is_the_same",
        Bend {
            taken: Some(|_, changes| {
                for change in changes.iter_mut().filter(|change| change.facts.len() > 2) {
                    change.facts.pop();
                }
            }),
            ..NO_BEND
        },
    ),
];
