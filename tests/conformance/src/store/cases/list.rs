//! The list of all cases.

/// Hands the list to another macro of this crate, behind the arguments meant for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_store_case {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! {
            [$($arguments)*]
            claim {
                a_fresh_record_is_granted_with_one_attempt
                a_claim_is_counted_before_it_ends
                a_done_record_answers_done
                a_record_in_progress_answers_busy_for_the_rest_of_its_lease
                a_failed_record_answers_not_yet_for_the_rest_of_its_wait
                a_failed_record_is_granted_when_it_is_due
                a_dead_record_answers_dead_with_its_last_fence
                the_same_owner_asking_again_gets_the_same_claim
                asking_again_renews_the_lease
                an_owner_that_was_taken_over_waits_like_anybody
            }
            conflict {
                another_payload_is_a_conflict_while_the_record_is_in_progress
                another_payload_is_a_conflict_after_the_lease
                another_payload_is_a_conflict_while_the_record_waits
                another_payload_is_a_conflict_when_the_record_is_due
                another_payload_is_a_conflict_when_the_record_is_done
                another_payload_is_a_conflict_when_the_record_is_dead
                an_absent_payload_is_not_an_empty_one
                a_rearmed_record_takes_another_payload_and_keeps_to_it
                an_expired_record_takes_another_payload_and_keeps_to_it
            }
            fencing {
                a_stale_owner_cannot_complete
                a_stale_owner_cannot_fail
                a_stale_owner_cannot_release
                a_stale_owner_cannot_bury
                a_stale_owner_cannot_extend
                a_stale_owner_changes_nothing_after_the_next_has_ended
                a_stranger_can_change_nothing
                a_write_to_an_absent_record_is_fenced_and_makes_none
                a_record_that_has_ended_cannot_end_otherwise
                fences_grow_with_every_claim_of_a_key
            }
            repeats {
                a_completion_may_be_repeated
                a_failure_may_be_repeated
                a_release_may_be_repeated
                a_burial_may_be_repeated
                an_extension_may_be_repeated
                a_repeated_failure_does_not_begin_its_wait_again
                a_repeat_that_comes_too_late_does_not_disturb_the_next_owner
            }
            retry {
                a_failure_keeps_its_attempt
                a_release_gives_its_attempt_back
                a_first_attempt_may_be_given_back
                a_release_leaves_nothing_in_the_history
                a_failure_is_told_to_the_next_attempt
                the_first_failure_and_the_last_are_both_remembered
                a_failure_of_any_length_is_recorded
                a_failure_in_any_characters_is_recorded
            }
            lease {
                a_lease_that_is_over_can_be_taken_over
                an_extension_renews_the_lease
                an_extension_counts_from_now
                an_extension_is_as_long_as_it_says
                an_owner_whose_lease_is_over_may_still_extend_it
                an_owner_whose_lease_is_over_may_still_end_it
                an_extension_after_the_end_is_fenced_and_revives_nothing
            }
            dead {
                duplicates_of_a_dead_letter_do_not_run
                a_burial_keeps_what_failed
                a_rearmed_record_runs_again_from_the_first_attempt
                a_rearmed_record_keeps_its_story
                only_a_dead_record_can_be_rearmed
                a_dead_letter_that_comes_twice_rearms_once
                a_dead_letter_of_an_earlier_death_rearms_nothing
            }
            retention {
                a_done_record_is_kept_for_its_retention
                retention_begins_when_the_record_ends
                an_expired_done_record_is_claimed_like_a_fresh_one
                reaping_removes_records_that_expired_done_or_dead
                reaping_removes_nothing_before_its_time
                reaping_removes_nothing_that_has_not_ended
                reaping_stops_at_its_limit
                reaping_takes_any_limit
                reaping_leaves_a_record_that_was_claimed_anew
                reaping_leaves_a_record_that_was_rearmed
                fences_do_not_begin_again_after_reaping
            }
            durations {
                a_lease_of_no_length_can_be_taken_over_at_once
                an_extension_of_no_length_ends_the_lease
                a_failure_with_no_wait_is_due_at_once
                a_retention_of_no_length_is_over_at_once
                the_longest_lease_does_not_overflow
                the_longest_takeover_does_not_overflow
                the_longest_extension_does_not_overflow
                the_longest_wait_does_not_overflow
                the_longest_retention_does_not_overflow
            }
            keys {
                keys_of_every_length_have_records_of_their_own
                long_keys_have_records_of_their_own
                keys_are_bytes_and_not_text
                letters_that_look_alike_are_not_alike
                scopes_do_not_hide_each_other
                scope_and_key_do_not_run_into_each_other
            }
            transaction {
                a_store_lends_what_it_says
                effects_and_completion_are_committed_together
                a_fenced_completion_rolls_its_effects_back
                a_stale_owner_that_borrows_late_applies_nothing
                an_owner_whose_lease_is_over_may_still_commit
                a_transaction_rolled_back_leaves_the_claim_in_progress
                a_transaction_that_is_dropped_applies_nothing
                a_second_attempt_commits_what_the_first_rolled_back
                a_transaction_without_effects_completes
                a_transaction_that_is_not_used_stands_in_no_ones_way
                an_open_transaction_blocks_no_claim
                a_second_transaction_of_a_completed_claim_is_fenced
                a_committed_record_shows_by_which_claim_it_was_done
            }
            at_once {
                of_many_claims_at_once_one_is_granted
                of_many_takeovers_at_once_one_is_granted
                one_owner_asking_many_times_at_once_has_one_claim
                of_two_payloads_at_once_one_is_a_conflict
                many_keys_in_both_orders_do_not_deadlock
                many_writes_at_once_are_each_answered_for_themselves
                of_a_late_completion_and_a_takeover_one_wins
            }
            look {
                an_absent_record_is_not_found
                a_record_is_seen_in_each_state
                looking_is_not_claiming
            }
        }
    };
}
