//! The connection of a lane.

use std::{sync::Arc, time::Duration};

use sqlx::{
    ConnectOptions as _, PgConnection,
    postgres::{PgConnectOptions, PgRow},
};
use steadfast::store::RecordId;
use tokio::time::timeout;

use crate::{
    error::{Shared, Trouble, no_answer},
    statements::Statements,
};

/// A server that has not answered by then is down.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// How long the second answer is waited for, on a new connection.
const SECOND_DEADLINE: Duration = Duration::from_secs(5);

/// How often a statement that lost against another one is sent again.
const AGAIN: u32 = 5;

/// A call that travels with others of its kind in one statement: each of another record, sorted.
pub(super) trait Row: Sized + Sync {
    /// Whether looking first avoids waiting for locks.
    const CAN_LOOK: bool;

    /// Of which record.
    fn id(&self) -> &RecordId;

    /// Sends them.
    fn send(
        rows: &[Self],
        connection: &mut PgConnection,
        statements: &Statements,
        look_first: bool,
    ) -> impl Future<Output = Result<Vec<PgRow>, sqlx::Error>> + Send;
}

/// The scopes of sorted rows, each once, and for each row the position of its own, counted from 1.
pub(super) struct Scopes<'a> {
    pub(super) names: Vec<&'a str>,
    pub(super) positions: Vec<i32>,
}

impl<'a> Scopes<'a> {
    pub(super) fn of<R: Row>(rows: &'a [R]) -> Self {
        let (mut names, mut positions) = (Vec::new(), Vec::with_capacity(rows.len()));
        let mut position = 0;
        for scope in rows.iter().map(|row| row.id().scope.as_str()) {
            if names.last() != Some(&scope) {
                names.push(scope);
                position += 1;
            }
            positions.push(position);
        }
        Self { names, positions }
    }
}

/// A connection that is made anew when it is of no use any more, and never used again after a
/// statement on it was given up.
pub(crate) struct Wire {
    options: PgConnectOptions,
    statements: Arc<Statements>,
    connection: Option<PgConnection>,
}

impl Wire {
    pub(crate) fn new(options: PgConnectOptions, statements: Arc<Statements>) -> Self {
        Self { options, statements, connection: None }
    }

    /// Sends rows as one statement; where one of them spoils it, in halves, until that one stands
    /// alone. Every row is in exactly one of the results.
    pub(super) async fn send<R: Row>(
        &mut self,
        mut rows: Vec<R>,
        mut look_first: bool,
    ) -> Vec<(Vec<R>, Result<Vec<PgRow>, Shared>)> {
        rows.sort_unstable_by(|one, other| one.id().cmp(other.id()));
        let mut results = Vec::new();
        let mut groups = vec![rows];
        while let Some(mut rows) = groups.pop() {
            match self.try_to_send(&rows, look_first).await {
                // What somebody holds can often be seen without its lock.
                Err(error)
                    if R::CAN_LOOK && !look_first && Trouble::of(&error) == Trouble::Locked =>
                {
                    look_first = true;
                    groups.push(rows);
                }
                Err(error) if rows.len() > 1 && is_of_one_row(&error) => {
                    groups.push(rows.split_off(rows.len() / 2));
                    groups.push(rows);
                }
                result => results.push((rows, result.map_err(Shared::new))),
            }
        }
        results
    }

    /// What was sent may be sent again: claims and writes carry their owners.
    async fn try_to_send<R: Row>(
        &mut self,
        rows: &[R],
        look_first: bool,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let (mut again, mut patience) = (0, DEADLINE);
        loop {
            let was_open = self.connection.is_some();
            let (connection, statements) = self.open().await?;
            let sent = R::send(rows, connection, statements, look_first);
            let Ok(sent) = timeout(patience, sent).await else {
                self.connection = None;
                // A firewall may have forgotten the connection, and the server be well.
                if was_open && patience == DEADLINE {
                    patience = SECOND_DEADLINE;
                    continue;
                }
                return Err(no_answer("a statement"));
            };
            let error = match sent {
                Ok(replies) => return Ok(replies),
                Err(error) => error,
            };
            match Trouble::of(&error) {
                // It may have been lost while nobody looked.
                Trouble::Connection => {
                    self.connection = None;
                    if !was_open {
                        return Err(error);
                    }
                }
                Trouble::Down => {
                    self.connection = None;
                    return Err(error);
                }
                Trouble::Again if again < AGAIN => again += 1,
                Trouble::Again | Trouble::Row | Trouble::Locked => return Err(error),
            }
        }
    }

    async fn open(&mut self) -> Result<(&mut PgConnection, &Statements), sqlx::Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => timeout(DEADLINE, self.options.connect())
                .await
                .unwrap_or_else(|_| Err(no_answer("connecting")))?,
        };
        Ok((self.connection.insert(connection), &self.statements))
    }
}

fn is_of_one_row(error: &sqlx::Error) -> bool {
    matches!(Trouble::of(error), Trouble::Row | Trouble::Locked)
}
