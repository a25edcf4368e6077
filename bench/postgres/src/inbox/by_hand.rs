//! An inbox as a good team writes it by hand: a row a statement, each its own commit, over a pool.

use anyhow::{Result, ensure};
use sqlx::{Executor as _, PgPool};
use uuid::Uuid;

use super::{EFFECT, Inbox, Key, digest};

/// The same promises as the store's: one owner at a time, leases by the server's clock, attempts
/// counted, fenced completion, another payload told from a duplicate.
const TABLES: &str = r#"
create sequence by_hand_fence;
create table by_hand (
    consumer    text        not null,
    key         bytea       not null,
    state       "char"      not null,
    owner       uuid,
    fence       bigint      not null,
    attempts    integer     not null,
    lease_until timestamptz not null,
    expires_at  timestamptz not null,
    digest      bytea       not null,
    primary key (consumer, key)
) with (fillfactor = 70);
create index on by_hand (expires_at);
create table effects (key bytea not null, cents bigint not null)"#;

const CLAIM: &str = r#"
insert into by_hand as t
    (consumer, key, state, owner, fence, attempts, lease_until, expires_at, digest)
values ('bench.inbox', $1, 'p', $2, nextval('by_hand_fence'), 1,
        clock_timestamp() + interval '30 s', clock_timestamp() + interval '7 days', $3)
on conflict (consumer, key) do update set
    state = 'p', owner = excluded.owner, fence = nextval('by_hand_fence'),
    attempts = t.attempts + 1, lease_until = clock_timestamp() + interval '30 s'
where t.state <> 'd' and t.lease_until <= clock_timestamp() and t.digest = excluded.digest
returning fence"#;

const LOOK: &str = r#"
select state, digest = $2 from by_hand where consumer = 'bench.inbox' and key = $1"#;

const COMPLETE: &str = r#"
update by_hand set state = 'd', owner = null
where consumer = 'bench.inbox' and key = $1 and owner = $2"#;

/// For the transaction with an effect: no lease, no attempts, no fence, for the row is seen by others
/// only once all is done.
const ONCE: &str = r#"
insert into by_hand (consumer, key, state, fence, attempts, lease_until, expires_at, digest)
values ('bench.inbox', $1, 'd', 0, 1, now(), now() + interval '7 days', $2)
on conflict (consumer, key) do nothing"#;

/// The inbox by hand.
#[derive(Clone)]
pub(crate) struct ByHand(PgPool);

impl ByHand {
    /// Makes the tables.
    pub(crate) async fn new(pool: PgPool) -> Result<Self> {
        pool.execute(TABLES).await?;
        Ok(Self(pool))
    }

    pub(crate) async fn claim(&self, key: Key) -> Result<Option<Uuid>> {
        let owner = Uuid::from_u128(rand::random());
        let fence = sqlx::query_scalar::<_, i64>(CLAIM)
            .bind(key.as_slice())
            .bind(owner)
            .bind(digest(key).as_slice())
            .fetch_optional(&self.0)
            .await?;
        if fence.is_some() {
            return Ok(Some(owner));
        }
        let (_, same) = sqlx::query_as::<_, (i8, bool)>(LOOK)
            .bind(key.as_slice())
            .bind(digest(key).as_slice())
            .fetch_one(&self.0)
            .await?;
        ensure!(same, "another payload");
        Ok(None)
    }

    pub(crate) async fn complete(&self, key: Key, owner: Uuid) -> Result<()> {
        let complete = sqlx::query(COMPLETE).bind(key.as_slice()).bind(owner);
        ensure!(complete.execute(&self.0).await?.rows_affected() == 1, "a lease was lost");
        Ok(())
    }
}

impl Inbox for ByHand {
    async fn message(&self, key: Key) -> Result<bool> {
        let owner = self.claim(key).await?;
        if let Some(owner) = owner {
            self.complete(key, owner).await?;
        }
        Ok(owner.is_some())
    }

    async fn effect(&self, key: Key) -> Result<()> {
        let mut transaction = self.0.begin().await?;
        let once = sqlx::query(ONCE).bind(key.as_slice()).bind(digest(key).to_vec());
        ensure!(once.execute(&mut *transaction).await?.rows_affected() == 1, "a duplicate");
        sqlx::query(EFFECT).bind(key.as_slice()).execute(&mut *transaction).await?;
        Ok(transaction.commit().await?)
    }
}
