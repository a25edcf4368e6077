//! Reads the dead letters, as a consumer like any other, and notes what came.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
};

use steadfast::{Context, Handler, HandlerError, Message, Story};

use crate::{
    manifest::Manifest,
    plan::{DELIVERY, EVENT, Plan},
};

/// Notes each dead letter in the manifest.
pub(crate) struct Audit {
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) shown: Arc<Shown>,
}

/// The first dead letters in words, for who asked to see them.
#[derive(Default)]
pub(crate) struct Shown {
    /// How many to keep.
    pub(crate) most: usize,
    lines: Mutex<Vec<String>>,
}

impl Handler for Audit {
    type Message = Message;

    async fn handle(&self, letter: Message, _: &mut Context<'_>) -> Result<(), HandlerError> {
        let number = letter.headers.text(DELIVERY).and_then(Plan::number);
        let (Some(number), Some(story)) = (number, Story::read(&letter)) else {
            self.manifest.stranger();
            return Ok(());
        };
        self.shown.keep(|| describe(&letter, &story));
        self.manifest.dead(number, story.reason, letter.payload.as_ref());
        Ok(())
    }
}

impl Shown {
    pub(crate) fn of(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    fn keep(&self, describe: impl FnOnce() -> String) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < self.most {
            lines.push(describe());
        }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn describe(letter: &Message, story: &Story) -> String {
    let id = letter.headers.text(DELIVERY).unwrap_or_default();
    let event = letter.headers.text(EVENT).unwrap_or_default();
    let mut line = format!("{id}  {event}  {} (attempts: {})", story.reason, story.attempts);
    if let Some(error) = &story.history.last_error {
        // Error texts may quote the body, so they are made fit for a terminal.
        let error: String = error.escape_debug().take(LONGEST_ERROR).collect();
        let _ = write!(line, ": {error}");
    }
    line
}

const LONGEST_ERROR: usize = 120;
