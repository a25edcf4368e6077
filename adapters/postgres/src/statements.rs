//! The statements, with the schema's name in them.

use sqlx::{SqlSafeStr as _, SqlStr};

use crate::schema::Schema;

/// Each is sent as it stands, so that the server prepares it once a connection.
pub(crate) struct Statements {
    pub(crate) claim: SqlStr,
    pub(crate) write: SqlStr,
    pub(crate) rearm: SqlStr,
    pub(crate) look: SqlStr,
    pub(crate) reap: SqlStr,
    pub(crate) horizon: SqlStr,
}

impl Statements {
    pub(crate) fn new(schema: &Schema) -> Self {
        let render = |statement: &str| schema.render(statement).into_sql_str();
        Self {
            claim: render(r#"select * from "{schema}".claim($1, $2, $3, $4, $5, $6, $7, $8)"#),
            write: render(r#"select * from "{schema}".write($1, $2, $3, $4, $5, $6, $7, $8)"#),
            rearm: render(r#"select "{schema}".rearm($1, $2, $3)"#),
            look: render(LOOK),
            reap: render(r#"select * from "{schema}".reap($1, $2)"#),
            horizon: render(HORIZON),
        }
    }
}

const LOOK: &str = r#"
select t.state, t.fence, t.attempts, t.redrives,
       "{schema}".epoch(t.first_failed), "{schema}".epoch(t.last_failed), t.last_error
from "{schema}".inbox t
where t.scope = (select s.id from "{schema}".scopes s where s.name = $1) and t.key = $2"#;

/// The age in seconds of the oldest transaction that this role may see and that keeps dead rows
/// from being vacuumed; prepared ones are seen by every role.
const HORIZON: &str = "
select coalesce(extract(epoch from clock_timestamp() - min(began)), 0)::float8
from (
    select xact_start from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
      and (backend_xmin is not null or backend_xid is not null)
    union all
    select prepared from pg_prepared_xacts where database = current_database()
) as open(began)";
