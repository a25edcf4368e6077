//! Messages that were given up, with their story, and the way back.

mod redrive;
mod story;

pub use self::{
    redrive::{Redrive, RedriveError, RedriveReport},
    story::Story,
};
