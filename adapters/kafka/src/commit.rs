//! Commits offsets, beside the thread that polls: while the group's coordinator is away, the client
//! keeps a commit waiting without end, and it tells nobody what becomes of one that is not waited for.

use std::{
    sync::{Arc, Weak},
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::KafkaError,
};
use steadfast::broker::BrokerError;

use crate::{
    error::{is_of_a_rebalance, is_permanent, of_session},
    rebalance::Membership,
    state::Shared,
};

/// Commits that fail or wait for so long mean that this member is cut off from its group, though it may
/// still fetch: with KIP-848 it is not told.
const CUT_OFF: Duration = Duration::from_secs(45);

/// Offsets on their way to the broker.
struct Commit {
    list: TopicPartitionList,
    /// By the epoch of their partition.
    offsets: Vec<(u64, i64)>,
    began: Instant,
}

impl Membership {
    /// Begins to commit what can be committed of these partitions, or of all. One commit at a time, so
    /// that an older one never overtakes a newer.
    pub(crate) fn begin_commit(&self, only: Option<&[u64]>) {
        let Some(member) = self.me.get().and_then(Weak::upgrade) else { return };
        let Some(commit) = self.shared.next_commit(only) else { return };
        let shared = Arc::clone(&self.shared);
        let run = move || {
            // One partition that fails makes all of it fail: what did not is committed once more.
            let result = member.commit(&commit.list, CommitMode::Sync);
            let Commit { offsets, began, list } = commit;
            // Nothing of the client may outlive it.
            drop((list, member));
            shared.committed(&offsets, began, result);
        };
        let thread = thread::Builder::new().name("steadfast-kafka-commit".into());
        if let Err(error) = thread.spawn(run) {
            self.shared.update(|state| state.committing = None);
            self.shared.end(BrokerError::unavailable(error));
        }
    }

    /// Commits what can be committed of these partitions, before they have another owner. What the broker
    /// does not take within this time is delivered again by that one.
    pub(crate) fn commit_within(&self, limit: Duration, epochs: &[u64]) {
        let deadline = Instant::now() + limit;
        self.shared.wait_until_not_committing(limit);
        self.begin_commit(Some(epochs));
        let left = deadline.saturating_duration_since(Instant::now());
        if !self.shared.wait_until_not_committing(left) {
            tracing::warn!("the broker has not taken the last commit of what moves away in time");
        }
    }
}

impl Shared {
    /// What is to be committed, if there is something and no commit is under way.
    fn next_commit(&self, only: Option<&[u64]>) -> Option<Commit> {
        let mut state = self.state();
        if state.committing.is_some() {
            return None;
        }
        let (mut list, mut offsets) = (TopicPartitionList::new(), Vec::new());
        for (epoch, partition) in &state.partitions {
            let (topic, number) = (&*partition.topic, partition.number);
            if let Some(offset) = partition.watermark.uncommitted()
                && only.is_none_or(|only| only.contains(epoch))
                && list.add_partition_offset(topic, number, Offset::Offset(offset)).is_ok()
            {
                offsets.push((*epoch, offset));
            }
        }
        if offsets.is_empty() {
            state.commits_fail_since = None;
            return None;
        }
        let began = Instant::now();
        state.committing = Some(began);
        Some(Commit { list, offsets, began })
    }

    fn committed(&self, offsets: &[(u64, i64)], began: Instant, result: Result<(), KafkaError>) {
        let Err(error) = result else { return self.update(|state| state.committed(offsets)) };
        let since = self.update(|state| {
            state.committing = None;
            *state.commits_fail_since.get_or_insert(began)
        });
        if error.rdkafka_error_code().is_some_and(is_of_a_rebalance) {
            tracing::debug!(%error, "a commit has come into a rebalance");
        } else {
            tracing::warn!(%error, "a commit has failed");
        }
        if is_permanent(&error) {
            self.end(of_session(error));
        } else {
            self.end_if_cut_off(since);
        }
    }

    /// Ends a session whose commits have not come through since then, if that is too long ago.
    pub(crate) fn end_if_cut_off(&self, since: Instant) {
        if since.elapsed() > CUT_OFF {
            let words = format!("no commit has succeeded for {CUT_OFF:?}: joining the group anew");
            self.end(BrokerError::unavailable(words));
        }
    }
}
