//! The message that is sent.

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// A small message, whose fields own no memory.
#[derive(Debug, Serialize, Deserialize)]
pub struct Order {
    /// What it is remembered by.
    pub id: u64,
    /// What is ordered.
    pub quantity: u32,
}

const FIRST_ID: u64 = 1_000_000;

impl Order {
    /// The order of this number. Every id has the same number of digits, so that every message
    /// costs the same.
    pub fn new(number: u64) -> Self {
        Self { id: FIRST_ID + number, quantity: 37 }
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.id - FIRST_ID
    }

    /// As it is sent.
    ///
    /// # Errors
    /// None that can happen: a number is always valid JSON.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        Ok(serde_json::to_vec(self)?)
    }

    /// As a loop on a bare client reads it.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        Ok(serde_json::from_slice(bytes)?)
    }
}
