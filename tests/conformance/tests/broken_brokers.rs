//! The suite catches brokers that break the contract: each breach below is found by the case that is
//! named, with the words that are meant.

#[path = "mock_broker/harness.rs"]
mod harness;

#[path = "broken_brokers/bent.rs"]
mod bent;
#[path = "broken_brokers/publishing.rs"]
mod publishing;
#[path = "broken_brokers/receiving.rs"]
mod receiving;
#[path = "broken_brokers/sessions.rs"]
mod sessions;
#[path = "broken_brokers/settings.rs"]
mod settings;
#[path = "broken_brokers/settling.rs"]
mod settling;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use bent::{Bent, Breach, Upright};
use harness::MockHarness;
use publishing::*;
use receiving::*;
use sessions::*;
use settings::*;
use settling::*;
use steadfast_conformance::broker::{
    Verdict,
    cases::{self, Case},
};
use steadfast_mock::MockBroker;

/// Each line: what is broken, the mock within, the breach, the case that finds it, and what it says.
macro_rules! caught {
    ($($topic:ident { $($what:ident: $mock:ident, $breach:expr, $case:literal, $words:literal;)* })*) => {
        $(mod $topic {
            use super::*;

            $(
                #[test]
                fn $what() {
                    catches($mock, $breach, $case, $words);
                }
            )*
        })*
    };
}

caught! {
    in_receiving {
        headers_that_are_lost:
            plain, LosesHeaders,
            "content::headers_arrive_in_their_order", "the headers";
        headers_kept_in_a_map:
            plain, MapsHeaders,
            "content::repeated_headers_all_arrive", "the headers";
        headers_of_the_brokers_own:
            plain, AddsHeaders,
            "content::a_message_without_headers_arrives_without_any", "the headers";
        payloads_taken_for_text:
            plain, ReadsText,
            "content::any_bytes_of_payload_arrive", "the payload";
        keys_taken_for_text:
            plain, ReadsTextKeys,
            "content::a_key_of_any_bytes_arrives", "the key";
        tombstones_that_become_empty:
            plain, FillsTombstones,
            "content::a_tombstone_arrives_as_a_tombstone", "the payload";
        absent_keys_that_become_empty:
            plain, FillsKeys,
            "content::an_absent_key_is_not_an_empty_one", "the key";
        a_count_that_stays_at_one:
            plain, CountsToOne,
            "settle::deliveries_are_counted_if_it_says_so", "delivery 2";
        a_count_that_is_not_claimed:
            plain, CountsInSecret,
            "settle::deliveries_are_counted_if_it_says_so", "must not be given";
        message_ids_that_change:
            plain, RenamesMessages::default(),
            "deliver::a_message_keeps_its_id", "after a release";
        a_time_of_publishing_that_is_none:
            plain, ForgetsTime,
            "deliver::the_time_of_publishing_is_plausible", "before it was published";
        a_topic_by_another_name:
            plain, NamesTopicsOtherwise,
            "deliver::the_origin_names_the_topic", "topics/";
        more_messages_than_asked_for:
            plain, ExceedsDemand,
            "bounds::a_receive_gives_no_more_messages_than_asked_for", "were asked for";
        more_bytes_than_asked_for:
            plain, IgnoresBytes,
            "bounds::a_receive_stops_behind_the_message_that_passes_the_bytes", "were asked for";
        fetching_ahead_without_bound:
            plain, FetchesAhead::default(),
            "in_flight::never_more_is_unsettled_than_may_be_in_flight", "max_in_flight";
        acking_on_receipt:
            plain, AcksOnReceipt,
            "crash::a_message_comes_again_when_its_consumer_dies", "in vain";
    }
    in_settling {
        requeues_that_ack:
            plain, AcksOnRequeue,
            "settle::a_message_requeued_without_delay_comes_again", "in vain";
        releases_that_are_kept:
            plain, KeepsReleases,
            "settle::a_released_message_comes_again", "took a hold";
        delays_that_are_ignored:
            plain, IgnoresDelay,
            "delay::a_requeued_message_comes_again_after_its_delay_and_not_before", "was over after";
        delays_one_behind_the_other:
            plain, DelaysInLine,
            "delay::a_short_delay_does_not_wait_for_a_long_one", "should be another";
        copies_that_are_none:
            plain, ClaimsCopies,
            "delay::a_copy_that_waits_carries_its_attempts", "claims to delay by a copy";
        copies_that_forget_the_attempts:
            delays_by_copy, CopiesNoAttempts,
            "retry::attempts_that_wait_in_the_broker_come_to_an_end", "in vain until the message has been given up";
        delays_that_lose_the_message:
            short_delays, DropsLongDelays,
            "delay::a_delay_beyond_the_longest_loses_nothing", "comes again";
        too_few_answers:
            plain, AnswersOnce,
            "settle::a_batch_is_answered_one_by_one", "has its answer";
        answers_to_nothing:
            plain, AnswersAnyway,
            "settle::an_empty_batch_has_no_answers", "has its answer";
        answers_in_another_order:
            plain, AnswersBackwards,
            "receipts::a_stale_receipt_in_a_batch_spoils_no_other", "is ours";
        acks_of_everything_before:
            plain, AcksMultiple::default(),
            "hold::a_held_message_stays_ours_while_others_come_and_go", "is ours";
        stale_receipts_that_revive:
            plain, RevivesReceipts::default(),
            "receipts::an_earlier_receipt_of_a_message_does_not_settle_it", "is ours";
        receipts_of_any_epoch:
            plain, IgnoresEpochs,
            "receipts::a_receipt_that_was_never_given_settles_nothing", "is ours";
        success_whatever_happened:
            plain, BelievesInSuccess,
            "resume::receipts_of_a_lost_session_are_stale_and_change_nothing", "the next message should be another";
        acks_on_close:
            plain, AcksOnClose::default(),
            "settle::an_unsettled_message_comes_again_when_its_session_closes", "in vain";
        a_position_beyond_what_is_open:
            plain, CommitsTheNewest::default(),
            "settle::what_is_settled_out_of_order_hides_nothing_before_it", "in vain";
        extensions_that_do_nothing:
            plain, ExtendsNothing,
            "hold::a_hold_that_is_extended_does_not_end", "comes again";
        extensions_without_end:
            plain, ExtendsForEver::default(),
            "hold::an_extension_counts_from_now", "has not ended";
        a_hold_shorter_than_claimed:
            plain, OverstatesItsHold,
            "hold::an_unsettled_message_comes_again_when_its_hold_ends", "was over after";
        a_longest_hold_shorter_than_claimed:
            limited_extensions, OverstatesItsLongestHold,
            "hold::a_hold_has_the_limit_that_it_says", "only, although";
    }
    in_publishing {
        confirmations_of_nothing:
            plain, ConfirmsUnseen,
            "publish::a_confirmed_message_is_there", "in vain for a delivery";
        confirmations_of_what_failed:
            plain, ConfirmsWhatFailed,
            "outage::a_dead_letter_waits_for_its_destination", "find the destination down";
        confirmations_of_what_nobody_took:
            strict_topics, ConfirmsWhatFailed,
            "publish::a_message_to_nowhere_is_not_confirmed", "Ok";
        messages_cut_in_silence:
            small_messages, CutsInSilence,
            "dead_letter::a_message_that_leaves_no_room_for_its_story_is_cut", "left: None";
        refusals_taken_for_outages:
            small_messages, TakesRefusalsForOutages,
            "dead_letter::a_message_that_leaves_no_room_for_its_story_is_cut", "in vain for the dead letters";
        outages_taken_for_refusals:
            plain, TakesOutagesForRefusals,
            "publish::a_destination_that_is_down_is_unavailable_until_it_is_up", "Refused";
        a_size_that_does_not_fit:
            small_messages, OverstatesItsSize,
            "publish::a_message_of_the_largest_size_is_taken", "claimed to fit";
        answers_meant_for_others:
            small_messages, MixesAnswers::default(),
            "publish::publishes_at_the_same_time_are_each_answered_for_themselves", "bytes: Ok";
        keys_that_are_lost:
            plain, LosesKeys,
            "dead_letter::a_dead_letter_is_the_message_as_it_was", "order 7";
        headers_beyond_the_tenth:
            plain, TakesTenHeaders,
            "content::many_headers_arrive", "the headers";
        empty_values_that_are_filled:
            plain, FillsEmptyValues,
            "content::an_empty_header_value_arrives", "the headers";
        a_check_that_finds_everything:
            strict_topics, ChecksNothing,
            "start::a_missing_dead_letter_destination_is_refused", "in vain for the consumer to end";
        a_check_that_leaves_a_message:
            plain, ChecksByPublishing,
            "publish::a_check_finds_what_is_there_and_leaves_nothing", "only a test";
    }
    in_sessions {
        a_stop_that_is_not_heard:
            plain, IgnoresStop,
            "bounds::a_stop_ends_a_receive_that_waits", "after the stop";
        deliveries_after_a_stop:
            plain, DeliversAfterStop::default(),
            "bounds::a_source_that_has_stopped_gives_no_more", "after a stop";
        silence_after_a_cut:
            plain, FallsSilent,
            "resume::nothing_is_lost_over_many_cuts", "in vain";
        giving_up_on_a_cut:
            plain, GivesUpOnCuts,
            "resume::a_message_at_work_during_a_cut_runs_again_and_is_done_once", "in vain";
        forgetting_what_was_fetched:
            plain, ForgetsWhatItFetched::default(),
            "bounds::what_a_source_has_fetched_goes_back_when_it_stops", "in vain";
        one_queue_for_all_groups:
            plain, KnowsOneGroup,
            "deliver::two_groups_each_get_everything", "in vain";
        a_queue_for_each_member:
            plain, TellsEveryone::default(),
            "deliver::two_sessions_of_a_group_share_the_messages", "comes to another";
        waiting_for_what_is_not_there:
            strict_topics, WaitsForMissingTopics,
            "start::a_missing_source_is_refused", "in vain for the consumer to end";
        a_refusal_without_words:
            strict_topics, RefusesWithoutWords,
            "start::a_missing_source_is_refused", "does not name";
        giving_up_on_an_outage:
            plain, GivesUpAtStart,
            "down::a_consumer_waits_for_its_broker_to_come_up", "in vain";
        one_thing_at_a_time:
            plain, DoesOneThing::default(),
            "settle::a_receive_that_waits_holds_up_no_settlement", "is ours";
        a_backlog_of_what_is_out:
            plain, CountsWhatIsOut::default(),
            "backlog::what_is_held_is_not_in_the_backlog", "the two hold both";
        a_backlog_that_is_not_seen:
            plain, SeesNoBacklog,
            "backlog::what_waits_to_be_received_is_the_backlog", "three messages wait";
        order_that_is_only_claimed:
            reordering, ClaimsOrder,
            "order::messages_of_a_key_come_in_the_order_of_publishing", "a0";
        a_key_at_two_sessions:
            plain, ClaimsOrder,
            "order::a_key_is_at_one_session_at_a_time", "another gets the second";
        a_key_at_two_members:
            plain, ClaimsOrder,
            "keys::one_key_is_never_at_two_members_at_once", "at the same time";
        order_lost_by_a_delay:
            plain, ClaimsOrder,
            "order::a_requeued_message_keeps_its_key_back", "should be another";
        order_lost_by_a_release:
            plain, ScattersReleases::default(),
            "order::released_messages_of_a_key_come_again_in_order", "should be another";
    }
}

/// What finds fault with the broken must find none with the upright.
#[test]
fn an_upright_broker_is_not_caught() {
    for mock in [plain, ordered, delays_by_copy, small_messages, strict_topics, limited_extensions]
    {
        for case in cases::all() {
            if let Err(words) = run(&case, mock, Upright) {
                panic!("{}::{} finds fault: {words}", case.topic(), case.name());
            }
        }
    }
}

fn catches(mock: Settings, breach: impl Breach, case: &str, words: &str) {
    let named = |known: &Case| format!("{}::{}", known.topic(), known.name()) == case;
    let known = cases::all().into_iter().find(named);
    let known = known.unwrap_or_else(|| panic!("there is no case {case}"));
    match run(&known, mock, breach) {
        Ok(verdict) => panic!("{case} does not find it: {verdict:?}"),
        Err(found) => assert!(found.contains(words), "{case} finds something else: {found}"),
    }
}

/// What a case says of the mock with a breach; an error has the words in which it fails.
fn run(case: &Case, mock: Settings, breach: impl Breach) -> Result<Verdict, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime needs nothing");
    let judged = catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(async {
            let bend = |mock| Arc::new(Bent::new(mock, Arc::new(breach))) as Arc<_>;
            case.run(&MockHarness::around(mock(MockBroker::new()), bend)).await
        })
    }));
    judged.map_err(|words| match words.downcast::<String>() {
        Ok(words) => *words,
        Err(words) => words.downcast_ref::<&str>().copied().unwrap_or_default().to_owned(),
    })
}
