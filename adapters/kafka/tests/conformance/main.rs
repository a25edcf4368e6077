//! The broker suite on a real Kafka: as most use it, with retry topics, with the other group
//! protocols, and behind a network that fails.

#[path = "../support/mod.rs"]
mod support;

mod all;

use std::{path::PathBuf, time::Duration};

use steadfast_kafka::GroupProtocol;
use steadfast_test_servers::Kafka;
use support::KafkaHarness;

/// What depends on how partitions move.
const OF_MEMBERS: &[&str] =
    &["deliver", "settle", "receipts", "order", "consume", "keys", "drain", "crash", "storm"];

const NOT_PROVED_OF_MEMBERS: &[&str] =
    &["a_handler_that_outlasts_the_hold_keeps_its_message", "order_survives_a_cut"];

/// What depends on where a retry waits.
const OF_DELAYS: &[&str] = &["delay", "retry", "dead_letter", "drain", "start", "backlog"];

/// What cannot be proved without retry topics, without a proxy, and because Kafka has no holds, no limit of
/// deliveries, and does not tell what is unsettled.
const NOT_PROVED: &[&str] = &[
    "a_consumer_goes_on_when_its_broker_comes_back",
    "a_consumer_waits_for_its_broker_to_come_up",
    "a_copy_that_others_have_moved_here_waits_and_comes_back_here",
    "a_copy_that_waits_carries_its_attempts",
    "a_handler_sees_the_same_message_in_every_attempt",
    "a_handler_that_outlasts_the_hold_keeps_its_message",
    "a_hold_has_the_limit_that_it_says",
    "a_hold_that_is_extended_does_not_end",
    "a_message_at_work_during_a_cut_runs_again_and_is_done_once",
    "a_message_that_is_delivered_again_is_known_by_its_id",
    "a_message_that_waits_holds_up_no_other",
    "a_message_that_waits_in_the_broker_comes_after_its_delay",
    "a_message_whose_ack_was_lost_comes_again",
    "a_message_whose_ack_was_lost_is_done_once",
    "a_receive_that_waits_goes_on_after_a_cut",
    "a_requeued_message_comes_again_after_its_delay_and_not_before",
    "a_short_delay_does_not_wait_for_a_long_one",
    "a_stop_while_the_broker_is_down_loses_nothing",
    "a_store_counts_attempts_through_waits_in_the_broker",
    "a_timeout_beyond_the_hold_is_refused",
    "a_wait_in_place_outlasts_the_hold",
    "an_extension_after_the_end_revives_nothing",
    "an_extension_counts_from_now",
    "an_unsettled_message_comes_again_when_its_hold_ends",
    "attempts_are_counted_through_waits_in_the_broker",
    "attempts_that_wait_in_the_broker_come_to_an_end",
    "dedup_by_message_ids_that_change_is_refused",
    "extensions_are_answered_one_by_one",
    "more_attempts_than_the_broker_delivers_are_refused",
    "never_more_bytes_are_unsettled_than_may_be_in_flight",
    "never_more_is_unsettled_than_may_be_in_flight",
    "nothing_is_lost_over_many_cuts",
    "order_is_refused_where_it_is_not_kept",
    "order_survives_a_cut",
    "receipts_of_a_lost_session_are_stale_and_change_nothing",
    "what_is_delayed_is_not_in_the_backlog",
    "what_waits_counts_as_in_flight",
];

#[test]
fn classic_members_pass_it() {
    all::pass(None, 8, NOT_PROVED, async || KafkaHarness::new(|broker| broker));
}

#[test]
fn members_with_retry_topics_pass_it() {
    let tiers = [1, 8].map(Duration::from_secs);
    let make = async || KafkaHarness::new(|broker| broker.retry_tiers(tiers));
    let not_proved = &[
        "a_timeout_beyond_the_hold_is_refused",
        "a_wait_in_place_outlasts_the_hold",
        "a_wait_that_the_broker_cannot_keep_is_kept_all_the_same",
        "dedup_by_message_ids_that_change_is_refused",
        "more_attempts_than_the_broker_delivers_are_refused",
        "order_is_refused_where_it_is_not_kept",
    ];
    all::pass(Some(OF_DELAYS), 8, not_proved, make);
}

#[test]
fn eager_members_pass_it() {
    let make = async || KafkaHarness::new(|broker| broker.group_protocol(GroupProtocol::Eager));
    all::pass(Some(OF_MEMBERS), 8, NOT_PROVED_OF_MEMBERS, make);
}

#[test]
fn members_of_kip_848_pass_it() {
    all::pass(Some(OF_MEMBERS), 8, NOT_PROVED_OF_MEMBERS, async || KafkaHarness::kip_848());
}

/// A server of its own, since Kafka tells its clients where to connect: to one proxy, which one case
/// at a time may cut.
#[test]
fn members_behind_a_failing_network_pass_it() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("kafka-behind-a-proxy");
    let server = Kafka::start(folder).expect("it starts");
    let make = async || KafkaHarness::behind_a_proxy(&server).await;
    let not_proved =
        &["a_message_whose_ack_was_lost_comes_again", "a_message_whose_ack_was_lost_is_done_once"];
    all::pass(Some(&["down", "resume", "keys"]), 1, not_proved, make);
}
