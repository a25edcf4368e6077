//! Dead letters: the message byte for byte, and its whole story (P1, P10, P11).

use bytes::Bytes;
use steadfast::{HandlerError, Message, Outcome, Reason, Story, headers};

use crate::broker::{
    BrokerHarness, GROUPS, NotProved, Proof, Stage,
    script::{Script, script, succeed, transient},
    stage::NAME,
    verdict::needs,
};

pub async fn a_dead_letter_is_the_message_as_it_was(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "as-it-was").await;
    let message = Message::new("m1 größer")
        .with_key("order 7")
        .with_header("b", "1")
        .with_header("a", Bytes::from_static(b"\x00\xff"))
        .with_header("b", "2");
    let letter = give_up(&stage, refuse(), message.clone()).await?;
    assert_whole(&letter, &message);
    Ok(())
}

/// Byte for byte, although nobody could read it.
pub async fn an_undecodable_message_is_dead_lettered_at_once(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "undecodable").await;
    let bytes = Bytes::from_static(b"\x00\xff\xfe\x80 not a letter");
    let message = Message::new(bytes).with_key("k").with_header("a", "1").with_header("a", "2");
    let letter = give_up(&stage, succeed(), message.clone()).await?;
    assert!(stage.ledger.runs().is_empty(), "no handler sees what cannot be decoded");
    assert_whole(&letter, &message);
    let story = story(&letter);
    assert_eq!((story.reason, &*story.failure_kind), (Reason::Undecodable, "undecodable"));
    assert!(story.history.last_error.is_some(), "it tells the decoder's error");
    Ok(())
}

pub async fn a_dead_letter_tells_its_whole_story(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "story").await;
    let (seen, mut origins) = tokio::sync::mpsc::unbounded_channel();
    let act = script(move |call| {
        let _ = seen.send(call.origin);
        async { Err(HandlerError::permanent("no such account")) }
    });
    let letter = give_up(&stage, act, Message::new("m1").with_key("k")).await?;
    let origin = origins.recv().await.expect("the handler ran");
    let story = story(&letter);
    assert_eq!((story.reason, &*story.failure_kind), (Reason::Permanent, "permanent"));
    assert_eq!((&*story.consumer, &*story.group), (NAME, GROUPS[0]));
    assert_eq!(story.attempts, 1);
    assert_eq!(*story.origin.source, *stage.topic.name);
    assert_eq!(story.origin.message_id, origin.message_id);
    assert_eq!(story.origin.position, origin.position);
    assert_eq!(story.origin.published_at.is_some(), origin.published_at.is_some());
    let history = &story.history;
    assert!(history.first_failed.is_some() && history.last_failed >= history.first_failed);
    let error = history.last_error.as_deref().unwrap_or_default();
    assert!(error.contains("no such account"), "{error:?}");
    assert!(!story.error_type.is_empty());
    assert_eq!((story.record, story.redrives, story.cut_from), (None, 0, None));
    Ok(())
}

pub async fn a_dead_letter_tells_its_record(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "record").await;
    let member = stage.start(stage.remembering(stage.consumer("one", refuse())));
    stage.topic.publish("m1").await;
    let given_up = |outcomes: Vec<Outcome>| !outcomes.is_empty();
    stage.until("it is given up", |ledger| given_up(ledger.outcomes_of("m1"))).await;
    member.stop().await;
    let letters = stage.dead_letters(1).await?;
    let story = story(&letters[0]);
    let record = story.record.expect("there was a store");
    assert_eq!(record.key.as_bytes(), b"m1");
    assert!(record.scope.as_str().contains(NAME), "{}", record.scope.as_str());
    assert!(story.fence.is_some());
    Ok(())
}

pub async fn an_exhausted_message_tells_its_attempts(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "attempts").await;
    let act = script(|_| async { Err(transient()) });
    let letter = give_up(&stage, act, Message::new("m1").with_key("k")).await?;
    let story = story(&letter);
    assert_eq!((story.reason, &*story.failure_kind), (Reason::Exhausted, "transient"));
    assert_eq!(story.attempts, 3);
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2, 3]);
    assert!(story.history.last_failed >= story.history.first_failed);
    Ok(())
}

pub async fn a_panic_is_counted_and_dead_lettered(harness: &dyn BrokerHarness) -> Proof {
    let stage = Stage::new(harness, "panic").await;
    let act = script(|call| async move {
        assert!(call.text != "m1", "the handler panics, as it is told to");
        Ok(())
    });
    let member = stage.start(stage.consumer("one", act));
    stage.topic.publish("m1").await;
    let given_up = Outcome::DeadLettered(Reason::Exhausted);
    let what = "the message has been given up";
    stage.until(what, |ledger| ledger.outcomes_of("m1").contains(&given_up)).await;
    stage.topic.publish("m2").await;
    stage.until_succeeded(&["m2"]).await;
    member.stop().await;
    assert_eq!(stage.ledger.attempts_of("m1"), [1, 2, 3]);
    let letters = stage.dead_letters(1).await?;
    assert_eq!(story(&letters[0]).failure_kind, "panicked");
    Ok(())
}

/// The source took it; with its story it is too large for the dead letters.
pub async fn a_message_that_leaves_no_room_for_its_story_is_cut(
    harness: &dyn BrokerHarness,
) -> Proof {
    /// Less room than any story needs.
    const ROOM: usize = 128;
    let stage = Stage::new(harness, "cut").await;
    let Some(most) = stage.capabilities.max_message_bytes else {
        return NotProved::because("it names no largest message");
    };
    needs((16 << 10..16 << 20).contains(&most), "its largest message does not suit a test")?;
    let payload = vec![b'x'; most - ROOM];
    let letter = give_up(&stage, refuse(), Message::new(payload.clone())).await?;
    let story = story(&letter);
    assert_eq!(story.cut_from, Some(payload.len() as u64));
    let kept = letter.payload.as_deref().unwrap_or_default();
    assert!(!kept.is_empty() && payload.starts_with(kept), "the beginning is kept");
    assert!(letter.headers.text(headers::CUT_PAYLOAD_SHA256).is_some());
    assert!(story.original(&letter).is_none(), "what is cut cannot be put back");
    Ok(())
}

/// Publishes one message, and returns its dead letter, which must be the only one.
async fn give_up(stage: &Stage<'_>, act: Script, message: Message) -> Result<Message, NotProved> {
    stage.lying_dead().await?;
    let member = stage.start(stage.consumer("one", act));
    stage.topic.publish_message(message).await;
    let mut letters = stage.dead_letters(1).await?;
    member.stop().await;
    stage.topic.assert_nothing_is_left().await;
    assert_eq!(letters.len(), 1, "one dead letter: {letters:?}");
    Ok(letters.remove(0))
}

fn refuse() -> Script {
    script(|_| async { Err(HandlerError::permanent("no such account")) })
}

fn story(letter: &Message) -> Story {
    Story::read(letter).unwrap_or_else(|| panic!("the dead letter tells no story: {letter:?}"))
}

/// Payload, key and the producer's headers are as they were, and the story stands behind them.
fn assert_whole(letter: &Message, message: &Message) {
    assert_eq!((&letter.payload, &letter.key), (&message.payload, &message.key));
    let mut given = letter.headers.clone();
    given.retain(|name| !name.starts_with(headers::PREFIX));
    let shown: Vec<_> = given.iter().collect();
    let expected: Vec<_> = message.headers.iter().collect();
    assert_eq!(shown, expected, "the producer's headers");
}
