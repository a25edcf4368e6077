//! What a redrive tells.

use std::fmt;

use crate::{
    broker::{BoxError, BrokerError, PublishError},
    store::StoreError,
};

/// What a redrive did, or would do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedriveReport {
    /// Letters that were published again, or would be.
    pub redriven: usize,
    /// Letters that the filter left where they are.
    pub filtered: usize,
    /// Letters left because they had been redriven as often as allowed.
    pub too_often: usize,
    /// Letters left because they cannot be redriven: no story, or a payload that was cut.
    pub unfit: usize,
    /// Letters left because this very run had put them back, and they were given up again.
    pub died_again: usize,
    /// Whether the letters that stay may be all that could be held, so that others wait behind them.
    pub full: bool,
}

impl fmt::Display for RedriveReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { redriven, filtered, too_often, unfit, died_again, full } = self;
        write!(
            f,
            "redriven={redriven} filtered={filtered} too_often={too_often} unfit={unfit} \
             died_again={died_again}"
        )?;
        if *full {
            f.write_str(
                " (those that stay may be all that `max_bytes` holds: others may wait behind them)",
            )?;
        }
        Ok(())
    }
}

/// Why a redrive stopped. What it had not redriven by then is still in the dead letters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedriveError {
    /// The dead letters cannot be read.
    #[error("cannot read the dead letters")]
    Source(#[source] BrokerError),
    /// The message could not be published again.
    #[error("cannot publish to {destination}")]
    Publish {
        /// Where to.
        destination: String,
        /// Why not.
        #[source]
        error: PublishError,
    },
    /// The record could not be re-armed.
    #[error("cannot re-arm the record")]
    Store(#[source] StoreError),
    /// A letter has a record, but no store was given: without re-arming it, the redriven message
    /// would be taken for a duplicate.
    #[error("the dead letters of {consumer} have records: give the redrive their store")]
    NeedsStore {
        /// The consumer that gave the message up.
        consumer: String,
    },
    /// The letter could not be settled after its message was published. Running again is safe.
    #[error("cannot settle a dead letter")]
    Settle(#[source] BoxError),
}

impl RedriveReport {
    pub(super) fn seen(&self) -> usize {
        self.redriven + self.filtered + self.too_often + self.unfit + self.died_again
    }
}
