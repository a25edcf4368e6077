//! `limits(…)`: bounds on one message.

use super::{
    list::{Known, Listed},
    value::Given,
};

/// What `limits(…)` says.
#[derive(Default)]
pub(crate) struct Limits {
    pub(crate) payload: Option<Given<usize>>,
    pub(crate) key: Option<Given<usize>>,
    pub(crate) headers: Option<Given<usize>>,
    pub(crate) header_bytes: Option<Given<usize>>,
}

impl Listed for Limits {
    const GROUP: &'static str = "limits";
    const OPTIONS: &'static [Known<Self>] = &[
        ("payload", |limits, e, errors| limits.payload = errors.keep(e.bytes())),
        ("key", |limits, e, errors| limits.key = errors.keep(e.bytes())),
        ("headers", |limits, e, errors| limits.headers = errors.keep(e.number())),
        ("header_bytes", |limits, e, errors| limits.header_bytes = errors.keep(e.bytes())),
    ];
}
