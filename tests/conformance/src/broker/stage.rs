//! What a case about whole consumers needs.

use std::time::Duration;

use steadfast::{
    Backoff, Builder, Consumer, DedupKey, Message, NoLayers, Retry, Then,
    broker::{Capabilities, Hold},
    store::MemoryStore,
};

use super::{
    BrokerHarness, GROUPS, Member, NotProved, Topic,
    ledger::Ledger,
    script::{Letter, Letters, Player, Script, Witness, succeed},
    topic::limited_hold,
    wait::{until_some, within},
    watched::Watched,
};

/// A topic with a dead letter destination, a store, and the ledger of all consumers.
pub(crate) struct Stage<'h> {
    pub(crate) harness: &'h dyn BrokerHarness,
    pub(crate) topic: Topic<'h>,
    pub(crate) dead: Topic<'h>,
    pub(crate) capabilities: Capabilities,
    pub(crate) store: MemoryStore,
    pub(crate) ledger: Ledger,
}

/// A consumer whose policy can still be changed.
pub(crate) type Policy = Builder<Player, Letters, Then<NoLayers, Witness>, NoLayers>;

/// The name that all consumers of the suite declare.
pub(crate) const NAME: &str = "conformance";

impl<'h> Stage<'h> {
    pub(crate) async fn new(harness: &'h dyn BrokerHarness, hint: &str) -> Self {
        Self::around(Topic::fresh(harness, hint).await, hint).await
    }

    /// A stage whose source keeps order per key.
    pub(crate) async fn ordered(
        harness: &'h dyn BrokerHarness,
        hint: &str,
    ) -> Result<Self, NotProved> {
        Ok(Self::around(Topic::ordered(harness, hint).await?, hint).await)
    }

    async fn around(topic: Topic<'h>, hint: &str) -> Self {
        let harness = topic.harness;
        Self {
            harness,
            dead: Topic::fresh(harness, &format!("{hint}-dead")).await,
            capabilities: topic.capabilities().await,
            topic,
            store: MemoryStore::new(),
            ledger: Ledger::default(),
        }
    }

    /// A consumer with three attempts, a delay between them, and limits that any broker keeps.
    pub(crate) fn consumer(&self, member: &'static str, script: Script) -> Policy {
        let ledger = self.ledger.clone();
        let time = match self.capabilities.hold {
            Hold::Fixed(hold) | Hold::Extendable { total: Some(hold), .. } => hold.min(LONG),
            _ => LONG,
        };
        Consumer::builder(NAME, Player { member, script, ledger })
            .codec(Letters)
            .outer(Witness(self.ledger.clone()))
            .source(&self.topic.name)
            .group(GROUPS[0])
            .dead_letter(&self.dead.name)
            .retry(self.retry())
            .timeout(time / 4)
            .grace(time / 16)
    }

    /// Three attempts, a delay between them.
    pub(crate) fn retry(&self) -> Retry {
        Retry::with_backoff(Backoff::fixed(self.delay())).max_attempts(3)
    }

    /// Three attempts, with so much between them that a case can do much meanwhile.
    pub(crate) fn late_retry(&self) -> Retry {
        Retry::with_backoff(Backoff::fixed(self.delay() * 4)).max_attempts(3)
    }

    /// This policy with a store, whose dedup key is the text.
    pub(crate) fn remembering(&self, policy: Policy) -> Policy {
        let key = DedupKey::of(|letter: &Letter| letter.text.clone());
        policy.store(self.store.clone()).dedup_key(key)
    }

    /// Starts it.
    pub(crate) fn start(&self, policy: Policy) -> Member {
        let broker = Watched::new(self.harness.broker());
        let failures = broker.failures();
        let consumer = policy.build(broker).expect("the suite's policies are sound");
        Member::start(consumer, failures, self.longest_wait())
    }

    pub(crate) fn delay(&self) -> Duration {
        self.harness.delay()
    }

    /// Long enough for anything, the end of a hold included.
    pub(crate) fn longest_wait(&self) -> Duration {
        let hold = limited_hold(&self.capabilities).unwrap_or_default();
        self.harness.patience().saturating_add(hold.min(self.harness.patience()))
    }

    pub(crate) async fn until(&self, what: &str, condition: impl Fn(&Ledger) -> bool) {
        self.ledger.until(self.longest_wait(), what, condition).await;
    }

    pub(crate) async fn until_succeeded<T: AsRef<str>>(&self, texts: &[T]) {
        let names: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
        let what = format!("{names:?} have been handled");
        self.until(&what, |ledger| ledger.have_succeeded(&names)).await;
    }

    /// The dead letters, as soon as there are so many.
    pub(crate) async fn dead_letters(&self, at_least: usize) -> Result<Vec<Message>, NotProved> {
        self.lying_dead().await?;
        let ask = async || self.lying_dead().await.ok().filter(|found| found.len() >= at_least);
        Ok(until_some(self.longest_wait(), "the dead letters", ask).await)
    }

    /// The dead letters that lie there now.
    pub(crate) async fn lying_dead(&self) -> Result<Vec<Message>, NotProved> {
        let reading = self.harness.read_all(&self.dead.name);
        match within(self.harness.patience(), "the dead letters to be read", reading).await {
            Some(found) => Ok(found),
            None => NotProved::because("dead letters cannot be read independently"),
        }
    }

    /// Waits as long as another consumer takes for twenty messages: what should not happen has then
    /// had its time.
    pub(crate) async fn others_have_worked(&self) {
        let other = Stage::new(self.harness, "yardstick").await;
        let member = other.start(other.consumer("yardstick", succeed()));
        let texts: Vec<String> = (0..20).map(|number| format!("y{number}")).collect();
        for text in &texts {
            other.topic.publish(text).await;
        }
        other.until_succeeded(&texts).await;
        member.stop().await;
    }
}

/// What handlers may take of where no hold bounds them.
const LONG: Duration = Duration::from_secs(120);
