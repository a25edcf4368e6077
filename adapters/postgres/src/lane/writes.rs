//! The writes of a round: completions, failures, releases, burials and extensions together.

use sqlx::{PgConnection, Row as _, postgres::PgRow};
use steadfast::store::{Owner, RecordId, StoreError, Token, Written};
use tokio::sync::oneshot;
use uuid::Uuid;

use super::wire::{Row, Scopes, Wire};
use crate::{error::Shared, statements::Statements};

/// A write by an owner.
pub(crate) struct Write {
    pub(crate) id: RecordId,
    pub(crate) token: Token,
    pub(crate) ending: Ending,
}

/// What it does; times in microseconds from now.
pub(crate) enum Ending {
    Complete,
    Fail { after: i64, note: String },
    Release,
    Bury { note: String },
    Extend { lease: i64 },
}

impl Ending {
    /// The state that it leads to; a release is told apart from a failure.
    fn code(&self) -> i8 {
        let code = match self {
            Self::Complete => b'd',
            Self::Fail { .. } => b'f',
            Self::Release => b'r',
            Self::Bury { .. } => b'x',
            Self::Extend { .. } => b'p',
        };
        code.cast_signed()
    }

    fn span(&self) -> i64 {
        match self {
            Self::Fail { after: span, .. } | Self::Extend { lease: span } => *span,
            Self::Complete | Self::Release | Self::Bury { .. } => 0,
        }
    }

    fn note(&self) -> Option<&str> {
        match self {
            Self::Fail { note, .. } | Self::Bury { note } => Some(note),
            _ => None,
        }
    }
}

type Reply = oneshot::Sender<Result<Written, StoreError>>;

/// A write, and who waits for it, if anybody does.
pub(super) struct Asked {
    write: Write,
    reply: Option<Reply>,
}

/// Writes and answers.
pub(super) async fn send(rows: Vec<Asked>, wire: &mut Wire) {
    for (rows, result) in wire.send(rows, false).await {
        match result.and_then(|fenced| read(rows.len(), &fenced).map_err(Shared::new)) {
            Ok(written) => rows.into_iter().zip(written).for_each(|(row, it)| row.answer(Ok(it))),
            Err(error) => rows.into_iter().for_each(|row| row.answer(Err(error.to_store_error()))),
        }
    }
}

impl Asked {
    pub(super) fn new(write: Write, reply: Option<Reply>) -> Self {
        Self { write, reply }
    }

    fn answer(self, written: Result<Written, StoreError>) {
        self.reply.map(|reply| reply.send(written));
    }
}

impl Row for Asked {
    const CAN_LOOK: bool = false;

    fn id(&self) -> &RecordId {
        &self.write.id
    }

    async fn send(
        rows: &[Self],
        connection: &mut PgConnection,
        statements: &Statements,
        _: bool,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let scopes = Scopes::of(rows);
        let each = || rows.iter().map(|row| &row.write);
        sqlx::query(statements.write.clone())
            .bind(scopes.names)
            .bind(scopes.positions)
            .bind(each().map(|write| write.id.key.as_bytes()).collect::<Vec<_>>())
            .bind(each().map(|write| uuid(write.token.owner)).collect::<Vec<_>>())
            .bind(each().map(|write| write.token.fence.cast_signed()).collect::<Vec<_>>())
            .bind(each().map(|write| write.ending.code()).collect::<Vec<_>>())
            .bind(each().map(|write| write.ending.span()).collect::<Vec<_>>())
            .bind(each().map(|write| write.ending.note()).collect::<Vec<_>>())
            .fetch_all(connection)
            .await
    }
}

/// What became of each row, from the positions, counted from 1, of those that are fenced.
fn read(rows: usize, fenced: &[PgRow]) -> Result<Vec<Written>, sqlx::Error> {
    let mut written = vec![Written::Applied; rows];
    for row in fenced {
        let position = usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or_default();
        if let Some(row) = position.checked_sub(1).and_then(|index| written.get_mut(index)) {
            *row = Written::Fenced;
        }
    }
    Ok(written)
}

pub(crate) fn uuid(owner: Owner) -> Uuid {
    Uuid::from_u128(owner.0)
}
