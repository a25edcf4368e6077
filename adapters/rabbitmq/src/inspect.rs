//! How a queue was declared.
//!
//! AMQP has no question for it. But a declaration with other arguments is refused with the first
//! difference, name and value; so a queue is declared again and again, each time with what was
//! learned, until nothing is left to differ. One argument is wrong on purpose: where there is no such
//! queue, the server refuses that one before it creates anything.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lapin::{
    options::QueueDeclareOptions,
    types::{AMQPValue, FieldTable, ShortString},
};
use steadfast::broker::BrokerError;

use crate::{
    connect::{Link, within},
    error::{ACCESS_REFUSED, PRECONDITION_FAILED, at_setup, reply},
    queue::text,
};

/// What a queue was declared with, as far as it can be seen.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Declared {
    arguments: BTreeMap<String, String>,
    asked: Asked,
}

/// The declaration that differs from the queue's in nothing but the bait.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    durable: bool,
    auto_delete: bool,
    table: FieldTable,
}

/// What was found last, by queue: asked again from there, an unchanged queue costs one refusal.
pub(crate) type Known = Mutex<HashMap<String, Declared>>;

/// The argument that is wrong on purpose; the server compares it last.
const BAIT: &str = "x-queue-leader-locator";

impl Declared {
    /// Looks at a queue that is there. `None` where this user may not declare queues, or the answers
    /// are not understood.
    pub(crate) async fn of(
        link: &Link,
        queue: &str,
        deadline: Duration,
        known: &Known,
    ) -> Result<Option<Self>, BrokerError> {
        let last = known.lock().unwrap_or_else(PoisonError::into_inner).get(queue).cloned();
        if let Some(last) = last
            && let Found::All = last.asked.once(link, queue, deadline).await?
        {
            return Ok(Some(last));
        }
        let found = Self::from_nothing(link, queue, deadline).await?;
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Some(declared) => known.insert(queue.into(), declared.clone()),
            None => known.remove(queue),
        };
        Ok(found)
    }

    async fn from_nothing(
        link: &Link,
        queue: &str,
        deadline: Duration,
    ) -> Result<Option<Self>, BrokerError> {
        /// More than there are arguments.
        const MOST: usize = 32;
        let mut declared = Self::default();
        for _ in 0..MOST {
            let (argument, value) = match declared.asked.once(link, queue, deadline).await? {
                Found::All => return Ok(Some(declared)),
                Found::Nothing => return Ok(None),
                Found::Difference(argument, value) => (argument, value),
            };
            let is_true = value.as_ref().is_some_and(|(value, _)| value == "true");
            match argument.as_str() {
                "durable" => declared.asked.durable = is_true,
                "auto_delete" => declared.asked.auto_delete = is_true,
                _ => {
                    let Some((value, kind)) = value else { return Ok(None) };
                    let Some(typed) = typed(&value, &kind) else { return Ok(None) };
                    declared.asked.table.insert(ShortString::from(argument.as_str()), typed);
                    if declared.arguments.insert(argument, value).is_some() {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(None)
    }

    pub(crate) fn kind(&self) -> &str {
        self.text("x-queue-type").unwrap_or("classic")
    }

    pub(crate) fn text(&self, argument: &str) -> Option<&str> {
        self.arguments.get(argument).map(String::as_str)
    }

    pub(crate) fn number(&self, argument: &str) -> Option<i64> {
        self.text(argument)?.parse().ok()
    }

    pub(crate) fn is(&self, argument: &str) -> bool {
        self.text(argument) == Some("true")
    }

    #[cfg(test)]
    pub(crate) fn with<const N: usize>(arguments: [(&str, &str); N]) -> Self {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Self { arguments: arguments.into_iter().map(owned).collect(), asked: Asked::default() }
    }
}

impl Asked {
    /// Asks once.
    async fn once(
        &self,
        link: &Link,
        queue: &str,
        deadline: Duration,
    ) -> Result<Found, BrokerError> {
        let doing = format!("looking at the arguments of queue `{queue}`");
        let options = QueueDeclareOptions {
            durable: self.durable,
            auto_delete: self.auto_delete,
            ..Default::default()
        };
        // A refusal closes the channel.
        let channel = link.channel().await?;
        let declaring = channel.queue_declare(queue.into(), options, self.table.clone());
        let Err(error) = within(deadline, &doing, declaring).await? else {
            // A classic queue has no leader to be located.
            return Ok(Found::All);
        };
        let difference = match reply(&error) {
            Some((ACCESS_REFUSED, _)) => return Ok(Found::Nothing),
            Some((PRECONDITION_FAILED, text)) => Difference::parse(text),
            _ => return Err(at_setup(error, &doing)),
        };
        Ok(match difference {
            // What is not understood must not pass for an ordinary queue.
            None => Found::Nothing,
            Some(Difference { argument: BAIT, .. }) => Found::All,
            Some(Difference { argument, value }) => {
                let own = |(value, kind): (&str, &str)| (value.to_owned(), kind.to_owned());
                Found::Difference(argument.to_owned(), value.map(own))
            }
        })
    }
}

impl Default for Asked {
    fn default() -> Self {
        let mut table = FieldTable::default();
        table.insert(ShortString::from(BAIT), text("steadfast-asks"));
        Self { durable: true, auto_delete: false, table }
    }
}

/// What one question has found.
enum Found {
    /// Nothing differs.
    All,
    /// The first argument that does, its value and type.
    Difference(String, Option<(String, String)>),
    /// The answer is not given, or not understood.
    Nothing,
}

/// The first difference that the server has found.
#[derive(Debug, PartialEq, Eq)]
struct Difference<'t> {
    argument: &'t str,
    /// Value and type with which the queue was declared.
    value: Option<(&'t str, &'t str)>,
}

impl<'t> Difference<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let (argument, rest) = text.split_once("inequivalent arg '")?.1.split_once('\'')?;
        let current = rest.rsplit_once("but current is ")?.1;
        let value = match current.strip_prefix("the value '") {
            Some(typed) => {
                let (value, kind) = typed.rsplit_once("' of type '")?;
                Some((value, kind.trim_end_matches('\'')))
            }
            // As 'true' of `durable`, and from 4.0 on 'quorum' of `x-queue-type`.
            None => current.strip_prefix('\'').map(|value| (value.trim_end_matches('\''), "")),
        };
        Some(Self { argument, value })
    }
}

fn typed(value: &str, kind: &str) -> Option<AMQPValue> {
    match kind {
        "longstr" | "" => Some(text(value)),
        "bool" => Some(AMQPValue::Boolean(value == "true")),
        _ => value.parse().ok().map(AMQPValue::LongLongInt),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_words_are_understood() {
        let parse = |difference: &str| {
            let text = format!("PRECONDITION_FAILED - inequivalent arg {difference}");
            Difference::parse(&text).map(|difference| {
                let Difference { argument, value } = difference;
                let own = |(value, kind): (&str, &str)| (value.to_owned(), kind.to_owned());
                (argument.to_owned(), value.map(own))
            })
        };
        let found = |argument: &str, value: Option<(&str, &str)>| {
            let own = |(value, kind): (&str, &str)| (value.to_owned(), kind.to_owned());
            Some((argument.to_owned(), value.map(own)))
        };
        assert_eq!(
            parse(
                "'x-delivery-limit' for queue 'it's' in vhost '/': received none but current is \
                 the value '7' of type 'signedint'"
            ),
            found("x-delivery-limit", Some(("7", "signedint")))
        );
        assert_eq!(
            parse("'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'"),
            found("durable", Some(("false", "")))
        );
        assert_eq!(
            parse(
                "'x-queue-leader-locator' for queue 'q' in vhost '/': received the value 'a' of \
                 type 'longstr' but current is none"
            ),
            found("x-queue-leader-locator", None)
        );
        assert_eq!(
            parse(
                "'x-queue-type' for queue 'q' in vhost '/': received 'classic' but current is \
                 'quorum'"
            ),
            found("x-queue-type", Some(("quorum", "")))
        );
        assert_eq!(Difference::parse("NOT_FOUND - no queue"), None);
    }
}
