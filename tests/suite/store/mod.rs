//! The laws of `src/store/mod.rs`, each as named checks that every store runs, without exceptions. A law is a number of that
//! list; a check begins with the number of the law that it belongs to. A new store is one line of `on_each_store` below.
//!
//! `cargo test --test suite store::each_law -- --nocapture` prints the laws and their checks.

mod absence;
mod bytes;
pub mod canaries;
mod chain;
mod closing;
mod commands;
mod differential;
mod durable;
mod ends;
mod expectations;
pub mod kinds;
mod lists;
mod looks;
mod moved;
mod positions;
mod secret;
mod seen;
mod verdicts;
mod versions;
mod whole;
mod harness;

pub use harness::*;

/// One check of one law.
#[derive(Clone, Copy)]
pub struct Check {
    /// `law_`, its number, and what holds.
    pub name: &'static str,
    pub run: fn(&mut Harness),
}

impl Check {
    pub fn law(&self) -> usize {
        let number = self.name.split('_').nth(1).expect("law_ and a number");
        number.parse().expect("the number of a law")
    }
}

fn run(name: &str, mut harness: Harness) {
    let check = CHECKS.iter().find(|check| check.name == name).expect("a check");
    (check.run)(&mut harness);
}

/// The stores there are: the one list of them.
macro_rules! on_each_store {
    ($($checks:tt)*) => {
        stores! { memory embedded postgres }
        on_store!(memory $($checks)*);
        on_store!(embedded $($checks)*);
        on_store!(postgres $($checks)*);
    };
}

macro_rules! stores {
    ($($store:ident)*) => {
        pub const STORES: &[(&str, fn() -> Harness)] = &[$((stringify!($store), Harness::$store)),*];
    };
}

macro_rules! on_store {
    ($store:ident $($file:ident { $($check:ident)* })*) => {
        mod $store {
            $($(#[test] fn $check() { super::run(stringify!($check), super::Harness::$store()); })*)*
        }
    };
}

/// Names each check once.
macro_rules! checks {
    ($($file:ident { $($check:ident)* })*) => {
        pub const CHECKS: &[Check] = &[$($(Check { name: stringify!($check), run: $file::$check },)*)*];
        on_each_store! { $($file { $($check)* })* }
    };
}

checks! {
    absence {
        law_1_what_was_never_written_is_absent_with_version_zero
        law_1_a_refused_change_leaves_its_keys_absent
        law_1_every_kind_of_fact_is_absent_at_first
        law_1_kinds_do_not_share_names
        law_1_names_that_differ_in_one_bit_are_two
        law_1_the_order_of_a_pair_is_part_of_its_name
        law_1_days_and_years_are_part_of_names
        law_1_absence_holds_after_reopening
        law_1_what_a_duplicate_would_have_put_is_absent
    }
    versions {
        law_2_a_version_is_the_position_of_the_last_change
        law_2_a_key_that_is_not_put_keeps_its_version
        law_2_versions_hold_after_reopening
        law_2_all_facts_of_a_change_share_its_position
        law_2_of_a_fact_put_twice_the_last_counts
        law_2_the_same_value_again_is_a_new_version
        law_2_versions_past_one_byte_stay_apart
        law_2_alone_and_in_company_the_version_is_one
        law_2_versions_hold_after_a_crash
        law_2_looking_changes_nothing
    }
    whole {
        law_3_a_change_is_there_with_all_its_parts
        law_3_a_refused_change_leaves_nothing
        law_3_a_change_without_facts_is_a_record
        law_3_a_change_of_list_rows_alone
        law_3_a_large_change_is_whole
        law_3_a_large_refused_change_leaves_nothing
        law_3_a_duplicate_leaves_nothing
        law_3_after_a_crash_a_change_is_there_with_all_its_parts_or_not_at_all
        law_3_whoever_sees_a_fact_finds_its_record
        law_3_whoever_sees_a_list_row_finds_its_fact
    }
    expectations {
        law_4_a_version_that_has_moved_conflicts
        law_4_absence_is_expected_like_a_version
        law_4_presence_is_not_absence
        law_4_a_key_that_is_only_read_counts
        law_4_a_taken_request_is_a_duplicate
        law_4_the_first_expectation_that_fails_names_the_refusal
        law_4_no_expectation_always_holds
        law_4_an_old_look_is_never_taken_for_a_new_one
        law_4_expectations_hold_after_reopening
        law_4_each_place_among_the_expectations_counts
        law_4_a_key_expected_twice_must_hold_twice
        law_4_every_kind_of_fact_is_compared
        law_4_only_a_taken_request_is_a_duplicate
        law_4_a_request_expected_as_it_stands_is_no_duplicate
        law_4_what_is_only_read_keeps_its_version
        law_4_what_others_changed_hinders_nobody
        law_4_a_fresh_look_is_never_too_old
        law_4_a_free_request_is_never_told_taken
        law_4_one_of_many_at_once_wins
        law_4_one_request_of_many_at_once_counts
        law_4_two_that_read_each_other_cannot_both_be_true
        law_4_decided_anew_it_goes_through
        law_4_an_expectation_of_what_is_put_is_of_before
    }
    verdicts {
        law_5_one_verdict_per_change_in_order
        law_5_a_change_sees_those_before_it_in_the_list
        law_5_a_refusal_in_the_middle_hinders_nobody
        law_5_the_same_request_twice_in_a_list_counts_once
        law_5_an_empty_list_has_no_verdicts
        law_5_a_long_list_is_judged_one_by_one
        law_5_a_chain_of_changes_within_one_list
        law_5_what_a_refused_change_would_have_put_is_not_seen_by_the_next
        law_5_a_request_refused_is_still_free
        law_5_lists_of_many_at_once_keep_their_verdicts
        law_5_a_verdict_names_its_own_record
        law_5_of_two_in_a_list_the_later_stays
        law_5_a_list_of_refusals_changes_nothing
    }
    positions {
        law_6_positions_start_at_one_and_refusals_take_none
        law_6_positions_are_gapless_under_contention
        law_6_positions_go_on_after_reopening
        law_6_no_refusal_takes_a_position
        law_6_the_head_stands_where_the_last_commit_said
        law_6_positions_follow_real_time
        law_6_positions_go_on_after_a_crash
        law_6_lists_of_many_at_once_leave_no_gap
    }
    chain {
        law_7_links_follow_from_the_records
        law_7_time_never_runs_backwards
        law_7_the_head_is_the_last_record
        law_7_the_chain_goes_on_after_reopening
        law_7_the_same_changes_give_the_same_chain
        law_7_other_content_gives_another_chain
        law_7_a_list_has_one_time
        law_7_a_verdict_tells_the_time_of_its_record
        law_7_time_goes_on_after_reopening
        law_7_time_goes_on_under_contention
        law_7_microseconds_are_kept
        law_7_a_clock_before_the_first_moment_counts_as_it
        law_7_the_chain_is_whole_under_contention
        law_7_the_chain_goes_on_after_a_crash
    }
    seen {
        law_8_a_commit_is_seen_at_once
        law_8_nothing_rests_on_a_torn_look
        law_8_money_is_neither_made_nor_lost_under_contention
        law_8_a_commit_is_in_its_lists_at_once
        law_8_a_commit_is_in_the_records_at_once
        law_8_a_key_never_goes_back
        law_8_what_one_commits_another_sees
        law_8_the_head_never_goes_back
        law_8_what_the_head_tells_is_there
    }
    durable {
        law_9_what_is_durable_survives_a_crash
        law_9_after_a_crash_there_is_a_prefix
        law_9_closing_makes_everything_durable
        law_9_waiting_for_the_past_is_no_waiting
        law_9_a_position_that_nobody_has_taken_is_waited_for
        law_9_many_wait_at_once
        law_9_a_waiter_that_gives_up_hinders_nobody
        law_9_waiting_for_one_keeps_all_before_it
        law_9_crashing_again_changes_nothing
        law_9_what_a_crash_took_can_be_done_again
        law_9_requests_survive_a_crash
        law_9_nothing_acknowledged_is_lost_under_contention
        law_9_list_rows_after_a_crash_are_a_prefix
        law_9_what_reopening_shows_is_durable
    }
    lists {
        law_10_rows_come_in_order_within_both_bounds
        law_10_the_limit_cuts_and_nothing_else
        law_10_lists_do_not_mix
        law_10_one_row_per_list_and_position
        law_10_rows_span_what_is_flushed_and_what_is_not
        law_10_owners_that_differ_in_one_bit_have_two_lists
        law_10_subjects_of_every_size
        law_10_the_limit_counts_rows_and_not_positions
        law_10_bounds_may_lie_in_gaps
        law_10_the_same_subject_twice_is_two_rows
        law_10_a_walk_beside_writers_misses_nothing
        law_10_rows_of_a_list_of_changes_stand_at_their_own_positions
        law_10_a_list_that_nobody_wrote_is_empty
    }
    bytes {
        law_11_bytes_come_back_as_written
        law_11_big_values_come_back
        law_11_records_are_paged
        law_11_records_span_what_is_flushed_and_what_is_not
        law_11_the_same_bytes_twice_are_two_records
        law_11_pages_of_a_long_ledger_meet
        law_11_a_value_grows_and_shrinks
        law_11_strange_texts_come_back
        law_11_a_name_changes_and_changes_back
        law_11_several_big_values_in_one_look
        law_11_records_hold_after_a_crash
        law_11_the_hash_is_kept_as_it_was_given
    }
    kinds {
        law_11_a_request_comes_back
        law_11_a_reference_comes_back
        law_11_a_person_comes_back
        law_11_a_standing_comes_back
        law_11_wards_come_back
        law_11_a_binding_comes_back
        law_11_a_settlement_comes_back
        law_11_a_basis_comes_back
        law_11_a_policy_comes_back
        law_11_a_decision_comes_back
        law_11_a_card_comes_back
        law_11_a_wallet_comes_back
        law_11_a_wallets_day_comes_back
        law_11_a_transfer_comes_back
        law_11_a_quota_comes_back
        law_11_slips_come_back
        law_11_a_jobs_day_comes_back
        law_11_a_certification_comes_back
        law_11_a_year_close_comes_back
        law_11_an_aid_use_comes_back
        law_11_a_policy_set_comes_back
    }
    closing {
        law_12_a_closed_store_says_so
        law_12_closing_twice_is_no_error
        law_12_a_closed_store_stays_closed
        law_12_a_closed_store_judges_nothing
        law_12_closing_wakes_whoever_waits
        law_12_closing_in_the_middle_leaves_definite_verdicts
    }
    ends {
        law_13_a_change_with_an_end_is_true_before_it_or_never
        law_13_the_end_is_judged_by_the_time_of_the_record
        law_13_a_passed_end_leaves_nothing
        law_13_a_taken_request_is_told_before_a_passed_end
        law_13_each_change_of_a_list_has_its_own_end
        law_13_the_end_is_judged_by_the_last_record_after_reopening
        law_13_without_an_end_any_time_will_do
        law_13_a_refused_end_does_not_move_time
    }
    looks {
        law_14_what_was_seen_is_not_after_read_at
        law_14_a_look_is_in_the_order_asked
        law_14_many_keys_in_one_look
        law_14_a_look_is_at_least_as_new_as_it_says
        law_14_looks_do_not_begin_before_those_ahead_of_them
        law_14_a_look_at_nothing_tells_where_the_ledger_stands
        law_14_each_alone_is_as_all_together
        law_14_what_comes_ahead_is_as_if_it_was_asked_for
    }
    moved {
        law_16_a_data_set_taken_in_is_the_same
        law_16_it_may_come_in_parts
        law_16_what_does_not_follow_is_not_taken
        law_16_of_a_list_with_a_wrong_one_nothing_is_taken
        law_16_a_fact_that_cannot_be_read_is_not_taken
        law_16_expectations_hold_against_what_was_taken_in
        law_16_the_ledger_goes_on_behind_it
        law_16_what_was_taken_in_and_waited_for_survives_a_crash
        law_16_broken_off_it_goes_on
        law_16_changes_are_paged
        law_16_changes_carry_all_they_made
        law_16_there_and_back_is_the_same
        law_16_whoever_waits_hears_of_what_is_taken_in
        law_16_a_closed_store_neither_gives_nor_takes
    }
    secret {
        law_15_the_secret_stays_with_the_data
        law_15_the_secret_is_there_before_the_first_change
    }
}

/// The laws as the contract states them, in order.
fn laws() -> Vec<&'static str> {
    let contract = include_str!("../../../src/store/mod.rs");
    let lines = contract.lines().filter_map(|line| line.strip_prefix("//! "));
    let numbered = lines.filter_map(|line| line.split_once(". **").filter(|(number, _)| number.parse::<u8>().is_ok()));
    numbered.map(|(_, law)| law.split("**").next().unwrap_or_default()).collect()
}

#[test]
fn each_law_has_its_checks() {
    let laws = laws();
    assert!(laws.len() >= 13, "the contract was found");
    assert!(CHECKS.len() >= 150, "{} checks", CHECKS.len());
    for (number, law) in (1..).zip(&laws) {
        let checks: Vec<&str> = CHECKS.iter().filter(|check| check.law() == number).map(|check| check.name).collect();
        println!("{number}. {law}");
        checks.iter().for_each(|check| println!("    {check}"));
        assert!(!checks.is_empty(), "law {number} has no check");
    }
    assert!(CHECKS.iter().all(|check| (1..=laws.len()).contains(&check.law())), "each check is of a law there is");
    println!("{} laws, {} checks", laws.len(), CHECKS.len());
}
