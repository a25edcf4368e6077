//! The options there are.

use std::time::Duration;

use syn::{ExprPath, Path, TypePath};

use super::{
    acknowledge::Acknowledged,
    breaker::Breaker,
    key::{DedupKey, OrderedBy},
    limits::Limits,
    list::{Known, Listed, read_group},
    retry::Retry,
    value::{Given, Text},
};

/// What `#[consumer(…)]` says, in the order of the builder.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) name: Option<Given<Text>>,
    pub(crate) source: Option<Given<Text>>,
    pub(crate) group: Option<Given<Text>>,
    pub(crate) dead_letter: Option<Given<Text>>,
    pub(crate) dedup_key: Option<Given<DedupKey>>,
    pub(crate) retry: Option<Retry>,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) filter: Option<Given<ExprPath>>,
    pub(crate) ordered_by: Option<Given<OrderedBy>>,
    pub(crate) concurrency: Option<Given<usize>>,
    pub(crate) max_in_flight: Option<Given<usize>>,
    pub(crate) max_in_flight_bytes: Option<Given<usize>>,
    pub(crate) waiting_share: Option<Given<f64>>,
    pub(crate) timeout: Option<Given<Duration>>,
    pub(crate) grace: Option<Given<Duration>>,
    pub(crate) drain: Option<Given<Duration>>,
    pub(crate) lease: Option<Given<Duration>>,
    pub(crate) lease_cap: Option<Given<Duration>>,
    pub(crate) retention: Option<Given<Duration>>,
    pub(crate) transactional: Option<Given<()>>,
    pub(crate) generation: Option<Given<u32>>,
    pub(crate) limits: Option<Limits>,
    pub(crate) stalled_after: Option<Given<Duration>>,
    pub(crate) acknowledge: Option<Acknowledged>,
    pub(crate) codec: Option<Given<TypePath>>,
    /// Where the crate is, if not at `::steadfast`.
    pub(crate) root: Option<Given<Path>>,
    /// The names of the options that stand there, rightly or wrongly.
    pub(crate) said: Vec<&'static str>,
    /// Whether some stand where they cannot be read.
    pub(crate) is_unread: bool,
}

impl Listed for Options {
    const GROUP: &'static str = "";
    const OPTIONS: &'static [Known<Self>] = &[
        ("name", |o, e, errors| o.name = errors.keep(e.text())),
        ("source", |o, e, errors| o.source = errors.keep(e.text())),
        ("group", |o, e, errors| o.group = errors.keep(e.text())),
        ("dead_letter", |o, e, errors| o.dead_letter = errors.keep(e.text())),
        ("dedup_key", |o, e, errors| o.dedup_key = errors.keep(DedupKey::read(e))),
        ("retry", |o, e, errors| {
            let list = errors.keep(e.list("max_attempts = 5"));
            o.retry = list.map(|list| read_group(list, errors));
        }),
        ("breaker", |o, e, errors| {
            let list = errors.keep(e.list("failure_ratio = 0.9, window = 20"));
            o.breaker = list.map(|list| read_group(list, errors));
        }),
        ("filter", |o, e, errors| o.filter = errors.keep(e.function())),
        ("ordered_by", |o, e, errors| o.ordered_by = errors.keep(OrderedBy::read(e))),
        ("concurrency", |o, e, errors| o.concurrency = errors.keep(e.number())),
        ("max_in_flight", |o, e, errors| o.max_in_flight = errors.keep(e.number())),
        ("max_in_flight_bytes", |o, e, errors| o.max_in_flight_bytes = errors.keep(e.bytes())),
        ("waiting_share", |o, e, errors| o.waiting_share = errors.keep(e.ratio())),
        ("timeout", |o, e, errors| o.timeout = errors.keep(e.duration())),
        ("grace", |o, e, errors| o.grace = errors.keep(e.duration())),
        ("drain", |o, e, errors| o.drain = errors.keep(e.duration())),
        ("lease", |o, e, errors| o.lease = errors.keep(e.duration())),
        ("lease_cap", |o, e, errors| o.lease_cap = errors.keep(e.duration())),
        ("retention", |o, e, errors| o.retention = errors.keep(e.duration())),
        ("transactional", |o, e, errors| o.transactional = errors.keep(e.flag())),
        ("generation", |o, e, errors| o.generation = errors.keep(e.number())),
        ("limits", |o, e, errors| {
            let list = errors.keep(e.list("payload = \"1MiB\""));
            o.limits = list.map(|list| read_group(list, errors));
        }),
        ("stalled_after", |o, e, errors| o.stalled_after = errors.keep(e.duration())),
        ("acknowledge", |o, e, errors| o.acknowledge = errors.keep(Acknowledged::read(e))),
        ("codec", |o, e, errors| o.codec = errors.keep(e.ty())),
        ("crate", |o, e, errors| o.root = errors.keep(e.path())),
    ];
}

/// Values of the running program, which only the builder takes.
const ON_THE_BUILDER: [&str; 5] = ["store", "dead_letter_on", "outer", "inner", "seed"];

/// Where an option belongs that is not known in `group`.
pub(crate) fn elsewhere(name: &str, group: &str) -> Option<String> {
    if matches!(name, "middleware" | "layer" | "layers") {
        return Some(format!(
            "`{name}` is a value of the running program: call `.outer(…)` or `.inner(…)` on \
             `Consumer::of(handler)`"
        ));
    }
    if ON_THE_BUILDER.contains(&name) {
        return Some(format!(
            "`{name}` is a value of the running program: call `.{name}(…)` on \
             `Consumer::of(handler)`"
        ));
    }
    let belongs = |other: &str| {
        (other != group)
            .then(|| format!("`{name}` belongs in `{other}(…)`: write `{other}({name} = …)`"))
    };
    if group.is_empty() {
        return [named::<Retry>(name), named::<Breaker>(name), named::<Limits>(name)]
            .into_iter()
            .flatten()
            .find_map(belongs);
    }
    named::<Options>(name)
        .map(|_| format!("`{name}` does not belong in `{group}(…)`: put it beside it"))
}

fn named<T: Listed>(name: &str) -> Option<&'static str> {
    T::OPTIONS.iter().any(|known| known.0 == name).then_some(T::GROUP)
}
