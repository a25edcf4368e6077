//! Consumer-side reliability for message brokers: you write a handler for one message, steadfast
//! makes it survive duplicates, failures, crashes, slow downstreams and restarts.
#![doc = include_str!("docs/overview.md")]

mod backoff;
mod breaker;
pub mod broker;
mod cancel;
mod chance;
mod clock;
mod codec;
mod consumer;
mod context;
pub mod dead_letter;
mod delivery;
mod error;
mod failure;
mod handler;
pub mod headers;
mod idempotency;
mod message;
mod middleware;
#[cfg(feature = "mock")]
pub mod mock;
mod outcome;
mod process;
mod retry;
pub mod store;
mod trace_context;

pub use self::{
    backoff::Backoff,
    breaker::BreakerPolicy,
    cancel::{Cancellation, Cancelled},
    codec::{Codec, Json, Raw},
    consumer::{
        BackoffSettings, BreakerSettings, Builder, Consumer, Declared, DedupKeySettings, Finding,
        Findings, Health, LimitSettings, Limits, OrderedBy, RetrySettings, RunError, Settings,
        Severity, Shutdown, run_all,
    },
    context::Context,
    dead_letter::{Redrive, RedriveError, RedriveReport, Story},
    delivery::{Delivery, History, Origin, Receipt},
    error::{Classify, HandlerError},
    failure::{Failure, FailureKind, MAX_ERROR_TEXT},
    handler::{Handler, HandlerFn, handler_fn},
    idempotency::{DedupKey, KeyField},
    message::{Headers, Message},
    middleware::{FromFn, LayerFn, Next, from_fn},
    outcome::{Cause, Ended, Outcome, Reason},
    process::{Middleware, NoLayers, Process, Stack, Then},
    retry::Retry,
    trace_context::TraceContext,
};

#[cfg(feature = "macros")]
pub use steadfast_macros::Consumer;
