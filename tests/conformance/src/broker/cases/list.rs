//! The list of all cases.

/// Hands the list to another macro of this crate, behind the arguments meant for it.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_broker_case {
    ($then:ident $($arguments:tt)*) => {
        $crate::$then! {
            [$($arguments)*]
            deliver {
                a_published_message_is_delivered
                what_was_published_before_the_session_is_delivered
                what_is_published_while_a_receive_waits_is_delivered
                each_of_many_messages_is_delivered
                the_origin_names_the_topic
                the_time_of_publishing_is_plausible
                a_message_keeps_its_id
                two_groups_each_get_everything
                two_sessions_of_a_group_share_the_messages
            }
            content {
                any_bytes_of_payload_arrive
                an_empty_payload_arrives_empty
                a_tombstone_arrives_as_a_tombstone
                a_large_payload_arrives_whole
                a_key_arrives
                a_key_of_any_bytes_arrives
                an_absent_key_is_not_an_empty_one
                a_message_without_headers_arrives_without_any
                headers_arrive_in_their_order
                repeated_headers_all_arrive
                header_values_of_any_bytes_arrive
                an_empty_header_value_arrives
                headers_beyond_ascii_arrive
                many_headers_arrive
                content_is_the_same_in_every_delivery
            }
            settle {
                an_acked_message_never_comes_again
                a_released_message_comes_again
                a_released_message_is_there_for_the_next_session
                a_message_requeued_without_delay_comes_again
                a_receive_that_waits_holds_up_no_settlement
                deliveries_are_counted_if_it_says_so
                a_batch_is_answered_one_by_one
                an_empty_batch_has_no_answers
                an_unsettled_message_comes_again_when_its_session_closes
                what_is_settled_out_of_order_hides_nothing_before_it
            }
            delay {
                a_requeued_message_comes_again_after_its_delay_and_not_before
                a_short_delay_does_not_wait_for_a_long_one
                a_message_that_waits_holds_up_no_other
                a_delay_beyond_the_longest_loses_nothing
                a_copy_that_waits_carries_its_attempts
            }
            receipts {
                a_receipt_settles_once
                an_earlier_receipt_of_a_message_does_not_settle_it
                a_receipt_that_was_never_given_settles_nothing
                a_stale_receipt_in_a_batch_spoils_no_other
                a_session_that_has_closed_settles_nothing
            }
            hold {
                an_unsettled_message_comes_again_when_its_hold_ends
                a_held_message_stays_ours_while_others_come_and_go
                a_hold_that_is_extended_does_not_end
                an_extension_counts_from_now
                extensions_are_answered_one_by_one
                an_extension_after_the_end_revives_nothing
                a_hold_has_the_limit_that_it_says
            }
            bounds {
                a_receive_gives_no_more_messages_than_asked_for
                a_receive_stops_behind_the_message_that_passes_the_bytes
                a_stop_ends_a_receive_that_waits
                a_source_that_has_stopped_gives_no_more
                what_a_source_has_fetched_goes_back_when_it_stops
            }
            backlog {
                what_waits_to_be_received_is_the_backlog
                what_is_held_is_not_in_the_backlog
                what_is_delayed_is_not_in_the_backlog
            }
            publish {
                a_confirmed_message_is_there
                a_message_of_the_largest_size_is_taken
                a_message_beyond_the_largest_size_is_refused_alone
                a_message_to_nowhere_is_not_confirmed
                publishes_at_the_same_time_are_each_answered_for_themselves
                a_destination_that_is_down_is_unavailable_until_it_is_up
                a_check_finds_what_is_there_and_leaves_nothing
                a_check_names_what_is_missing
            }
            order {
                messages_of_a_key_come_in_the_order_of_publishing
                released_messages_of_a_key_come_again_in_order
                unsettled_messages_of_a_key_come_to_the_next_session_in_order
                a_requeued_message_keeps_its_key_back
                a_key_is_at_one_session_at_a_time
            }
            consume {
                every_message_is_handled_and_settled
                a_message_that_the_filter_does_not_want_is_acked
                the_members_of_a_group_share_the_messages
                a_handler_that_outlasts_the_hold_keeps_its_message
                a_message_that_fails_leaves_the_others_alone
            }
            in_flight {
                never_more_is_unsettled_than_may_be_in_flight
                never_more_bytes_are_unsettled_than_may_be_in_flight
                what_waits_counts_as_in_flight
            }
            retry {
                a_failed_message_is_tried_again_until_it_succeeds
                a_message_that_waits_in_the_broker_comes_after_its_delay
                attempts_are_counted_through_waits_in_the_broker
                a_store_counts_attempts_through_waits_in_the_broker
                a_copy_that_others_have_moved_here_waits_and_comes_back_here
                attempts_that_wait_in_place_come_to_an_end
                attempts_that_wait_in_the_broker_come_to_an_end
                a_message_that_waits_for_its_retry_holds_up_no_other
                a_wait_in_place_outlasts_the_hold
                a_wait_that_the_broker_cannot_keep_is_kept_all_the_same
                a_handler_sees_the_same_message_in_every_attempt
            }
            keys {
                order_per_key_survives_a_retry
                one_key_is_never_at_two_members_at_once
                order_survives_a_stop_in_the_middle_of_a_wait
                order_survives_a_kill
                order_survives_a_cut
                a_key_goes_on_behind_a_dead_letter
            }
            dead_letter {
                a_dead_letter_is_the_message_as_it_was
                an_undecodable_message_is_dead_lettered_at_once
                a_dead_letter_tells_its_whole_story
                a_dead_letter_tells_its_record
                an_exhausted_message_tells_its_attempts
                a_panic_is_counted_and_dead_lettered
                a_message_that_leaves_no_room_for_its_story_is_cut
            }
            outage {
                a_dead_letter_waits_for_its_destination
                intake_pauses_while_the_dead_letters_are_down
                a_consumer_says_that_its_dead_letters_are_down
                a_stop_during_the_outage_loses_nothing
            }
            down {
                a_consumer_waits_for_its_broker_to_come_up
                a_consumer_goes_on_when_its_broker_comes_back
                a_stop_while_the_broker_is_down_loses_nothing
            }
            drain {
                a_stop_lets_finish_what_runs
                a_stop_hands_back_what_has_not_started
                a_handler_that_never_ends_is_cancelled_at_the_drain_deadline
                a_handler_learns_that_it_should_stop
                stops_use_up_no_attempt
                a_message_that_waits_for_its_retry_is_handed_back
            }
            crash {
                a_message_comes_again_when_its_consumer_dies
                nothing_is_lost_and_nothing_done_twice_over_many_deaths
                a_message_that_kills_its_process_is_given_up
                a_duplicate_is_not_acked_while_its_twin_is_at_work
            }
            resume {
                a_receive_that_waits_goes_on_after_a_cut
                receipts_of_a_lost_session_are_stale_and_change_nothing
                a_message_whose_ack_was_lost_comes_again
                a_message_whose_ack_was_lost_is_done_once
                nothing_is_lost_over_many_cuts
                a_message_at_work_during_a_cut_runs_again_and_is_done_once
            }
            duplicates {
                duplicates_of_a_message_run_once
                a_message_that_is_delivered_again_is_known_by_its_id
                a_duplicate_of_a_dead_letter_does_not_run
                a_key_that_belongs_to_another_payload_is_a_conflict
            }
            redrive {
                a_redriven_dead_letter_runs_again
                a_dead_letter_without_a_record_is_redriven_too
                a_redrive_that_is_run_again_runs_nothing_twice
                a_dry_run_changes_nothing
                letters_that_the_filter_leaves_stay
                a_redriven_message_is_the_original
                a_redriven_message_keeps_its_id
                a_dead_letter_that_is_moved_back_by_hand_runs
            }
            start {
                a_consumer_is_ready_while_it_consumes
                a_missing_source_is_refused
                a_missing_dead_letter_destination_is_refused
                order_is_refused_where_it_is_not_kept
                dedup_by_message_ids_that_change_is_refused
                a_timeout_beyond_the_hold_is_refused
                more_attempts_than_the_broker_delivers_are_refused
            }
            storm {
                every_message_ends_in_a_storm
                order_per_key_survives_a_storm
            }
        }
    };
}
