//! The claims of a round.

use std::{sync::Arc, time::Duration};

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use steadfast::{
    History,
    store::{Answer, Claim, Grant, Owner, RecordId, StoreError, Token},
};
use tokio::sync::oneshot;

use super::{
    Ending, Write,
    queue::{Call, Queue},
    wire::{Row, Scopes, Wire},
    writes::{self, uuid},
};
use crate::{
    error::{Shared, Trouble},
    span::{micros, time, wait},
    statements::Statements,
};

/// How often a record is asked for again that changed while it was asked for.
const TRIES: u32 = 3;

/// When a record that could not be seen clearly should be asked for again.
const SOON: Duration = Duration::from_millis(100);

pub(super) type Reply = Result<Answered, StoreError>;

/// An answer on its way. A grant that nobody takes is given back when this is dropped.
pub(super) struct Answered {
    answer: Answer,
    give_back: Option<(Write, Arc<Queue>)>,
}

impl Answered {
    pub(super) fn take(mut self) -> Answer {
        self.give_back = None;
        self.answer.clone()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        if let Some((write, queue)) = self.give_back.take() {
            // Its owner may have asked again: what that is granted must not be given back.
            queue.put_first(Call::Write(writes::Asked::new(write, None)));
        }
    }
}

/// Who asks for a record, with the same payload. The first is asked for; the others learn from what
/// it is answered.
pub(super) struct Asked {
    claim: Claim,
    reply: oneshot::Sender<Reply>,
    others: Vec<(Claim, oneshot::Sender<Reply>)>,
}

/// Asks and answers. What changed while it was asked for is asked for again.
pub(super) async fn send(
    mut rows: Vec<Asked>,
    wire: &mut Wire,
    queue: &Arc<Queue>,
    look_first: &mut bool,
) {
    rows.retain_mut(Asked::is_waited_for);
    for tries in 1.. {
        if rows.is_empty() {
            return;
        }
        let (asked, mut granted, mut unclear) = (rows.len(), 0, Vec::new());
        for (rows, result) in wire.send(rows, *look_first).await {
            let answers = result.and_then(|replies| read(&rows, &replies).map_err(Shared::new));
            let answers = match answers {
                Ok(answers) => answers,
                Err(error) => {
                    rows.into_iter().for_each(|row| row.fail(&error));
                    continue;
                }
            };
            for (row, answer) in rows.into_iter().zip(answers) {
                granted += usize::from(matches!(answer, Some(Answer::Granted(_))));
                match answer {
                    Some(answer) => row.answer(answer, queue),
                    None if tries == TRIES => row.answer(Answer::Busy(SOON), queue),
                    None => unclear.push(row),
                }
            }
        }
        // Where most are duplicates it is cheaper to look before asking.
        *look_first = granted * 2 < asked;
        rows = unclear;
    }
}

impl Asked {
    pub(super) fn new(claim: Claim, reply: oneshot::Sender<Reply>) -> Self {
        Self { claim, reply, others: Vec::new() }
    }

    /// Asks along with this one, unless it is of another payload.
    pub(super) fn join(&mut self, other: Self) -> Option<Self> {
        if self.claim.digest != other.claim.digest {
            return Some(other);
        }
        self.others.push((other.claim, other.reply));
        self.others.extend(other.others);
        None
    }

    /// Whether any of its callers is still there. One that is asks for the others.
    fn is_waited_for(&mut self) -> bool {
        while self.reply.is_closed() {
            let Some(next) = self.others.pop() else { return false };
            (self.claim, self.reply) = next;
        }
        true
    }

    fn answer(self, answer: Answer, queue: &Arc<Queue>) {
        let owner = self.claim.owner;
        let (same, others): (Vec<_>, Vec<_>) =
            self.others.into_iter().partition(|(claim, _)| claim.owner == owner);
        let to_others = match &answer {
            Answer::Granted(_) => Answer::Busy(self.claim.lease),
            answer => answer.clone(),
        };
        for (_, reply) in others {
            let _ = reply.send(Ok(Answered { answer: to_others.clone(), give_back: None }));
        }
        let mut give_back = match &answer {
            Answer::Granted(grant) => {
                let id = self.claim.id;
                let release = Write { id, token: grant.token, ending: Ending::Release };
                Some((release, Arc::clone(queue)))
            }
            _ => None,
        };
        // A call that was made again has the same owner. Whoever is there first must give back.
        for reply in std::iter::once(self.reply).chain(same.into_iter().map(|(_, reply)| reply)) {
            let answered = Answered { answer: answer.clone(), give_back: give_back.take() };
            if let Err(Ok(mut not_taken)) = reply.send(Ok(answered)) {
                give_back = not_taken.give_back.take();
            }
        }
        drop(Answered { answer, give_back });
    }

    fn fail(self, error: &Shared) {
        let answer = || match error.trouble() {
            // Only this record, for the others have been asked for without it.
            Trouble::Locked => Ok(Answered { answer: Answer::Busy(SOON), give_back: None }),
            _ => Err(error.to_store_error()),
        };
        let _ = self.reply.send(answer());
        for (_, reply) in self.others {
            let _ = reply.send(answer());
        }
    }
}

impl Row for Asked {
    const CAN_LOOK: bool = true;

    fn id(&self) -> &RecordId {
        &self.claim.id
    }

    async fn send(
        rows: &[Self],
        connection: &mut PgConnection,
        statements: &Statements,
        look_first: bool,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let scopes = Scopes::of(rows);
        let each = || rows.iter().map(|row| &row.claim);
        sqlx::query(statements.claim.clone())
            .bind(scopes.names)
            .bind(scopes.positions)
            .bind(each().map(|claim| claim.id.key.as_bytes()).collect::<Vec<_>>())
            .bind(each().map(|claim| uuid(claim.owner)).collect::<Vec<_>>())
            .bind(each().map(|claim| claim.digest.0.as_slice()).collect::<Vec<_>>())
            .bind(each().map(|claim| micros(claim.lease)).collect::<Vec<_>>())
            .bind(each().map(|claim| micros(claim.retention)).collect::<Vec<_>>())
            .bind(look_first)
            .fetch_all(connection)
            .await
    }
}

/// The answer to each row, if it has one. The first one counts: a lease may end between the two
/// statements.
fn read(rows: &[Asked], replies: &[PgRow]) -> Result<Vec<Option<Answer>>, sqlx::Error> {
    let positions = Scopes::of(rows).positions;
    let places: Vec<_> =
        positions.into_iter().zip(rows.iter().map(|row| row.claim.id.key.as_bytes())).collect();
    let mut answers = vec![None; rows.len()];
    for reply in replies {
        let record: (i32, &[u8]) = (reply.try_get(0)?, reply.try_get(1)?);
        if let Ok(row) = places.binary_search(&record)
            && answers[row].is_none()
        {
            answers[row] = Some(answer(reply, rows[row].claim.owner)?);
        }
    }
    Ok(answers)
}

fn answer(reply: &PgRow, owner: Owner) -> Result<Answer, sqlx::Error> {
    let fence = reply.try_get::<i64, _>(3)?.cast_unsigned();
    let until = wait(reply.try_get(5)?);
    Ok(match reply.try_get::<i8, _>(2)?.cast_unsigned() {
        b'g' => {
            let attempts = reply.try_get::<i32, _>(4)?.unsigned_abs();
            Answer::Granted(Grant::new(Token::new(owner, fence), attempts, history(reply, 6)?))
        }
        b'd' => Answer::Done,
        b'x' => Answer::Dead { fence },
        b'f' => Answer::NotYet(until),
        b'c' => Answer::Conflict,
        _ => Answer::Busy(until),
    })
}

/// What failed before, in three columns from this one on.
pub(crate) fn history(row: &PgRow, column: usize) -> Result<History, sqlx::Error> {
    let mut history = History::default();
    history.first_failed = time(row.try_get(column)?);
    history.last_failed = time(row.try_get(column + 1)?);
    history.last_error = row.try_get(column + 2)?;
    Ok(history)
}
