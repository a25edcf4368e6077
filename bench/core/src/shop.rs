//! The messages that are handled: what a shop would send.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A small message, whose fields own no memory.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: u64,
    pub(crate) quantity: u32,
}

/// A message of about 1 kB, whose fields do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Invoice {
    pub(crate) id: u64,
    pub(crate) customer: String,
    pub(crate) address: String,
    pub(crate) lines: Vec<Line>,
}

/// One line of an invoice.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) article: String,
    pub(crate) quantity: u32,
    pub(crate) cents: u64,
}

/// Every number has the same number of digits, so that every message costs the same.
const FIRST_ID: u64 = 1_000_000;

/// The payload of the `number`th order.
pub(crate) fn order(number: usize) -> Bytes {
    json(&Order { id: FIRST_ID + number as u64, quantity: 37 })
}

/// The payload of the `number`th invoice.
pub(crate) fn invoice(number: usize) -> Bytes {
    let line = |line: u64| Line {
        article: format!("article number {line:04}, boxed, in a colour of its own"),
        quantity: 10 + u32::try_from(line % 10).unwrap_or_default(),
        cents: 10_000 + line,
    };
    json(&Invoice {
        id: FIRST_ID + number as u64,
        customer: "A customer with a name of ordinary length".to_owned(),
        address: "17 A Street With A Name, 12345 A Town, A Country".to_owned(),
        lines: (0..9).map(line).collect(),
    })
}

/// These cannot fail to be written; if one did, nothing would decode it, and no run would end.
fn json(message: &impl Serialize) -> Bytes {
    let json = Bytes::from(serde_json::to_vec(message).unwrap_or_default());
    // A client cuts payloads out of the buffer that it reads into: they share it from the start.
    drop(json.clone());
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invoice_is_about_a_kilobyte_and_an_order_small() {
        assert!((900..1_100).contains(&invoice(7).len()), "{}", invoice(7).len());
        assert!(order(7).len() < 40);
        assert_eq!(order(0).len(), order(100_000).len());
    }
}
