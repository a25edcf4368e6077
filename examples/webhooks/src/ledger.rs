//! Where effects are written down: append only, without unique keys, so that an effect that happens
//! twice is seen twice. The one place where the handler's code depends on the store.

use std::sync::{Arc, Mutex, PoisonError};

use steadfast::{Context, HandlerError, store::MemoryTransaction};
use steadfast_postgres::PostgresContext as _;

use crate::{
    plan::{DELIVERY, EVENT},
    schema::Schema,
};

/// The ledger of a run.
pub(crate) enum Ledger {
    /// The number of a message for each effect, in the order in which they happened.
    Memory(Arc<Mutex<Vec<u64>>>),
    /// A row for each effect.
    Postgres(Schema),
}

impl Ledger {
    /// Writes one effect, in the transaction that the store lends.
    pub(crate) async fn write(
        &self,
        number: u64,
        cx: &mut Context<'_>,
    ) -> Result<(), HandlerError> {
        match self {
            Self::Memory(effects) => {
                let effects = Arc::clone(effects);
                let transaction = cx
                    .lent::<MemoryTransaction>()
                    .ok_or_else(|| HandlerError::permanent("the store lends no transaction"))?;
                transaction.effect(move || {
                    effects.lock().unwrap_or_else(PoisonError::into_inner).push(number);
                });
            }
            Self::Postgres(schema) => {
                let [delivery, event] = [DELIVERY, EVENT]
                    .map(|name| cx.headers().text(name).unwrap_or_default().to_owned());
                schema.write(&delivery, &event, cx.transaction().await?).await?;
            }
        }
        Ok(())
    }

    /// How often each of the first `messages` messages stands in it.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub(crate) async fn counts(&self, messages: usize) -> Result<Vec<u32>, String> {
        let mut counts = vec![0; messages];
        let mut add = |number: u64, times: u32| {
            let count = usize::try_from(number).ok().and_then(|number| counts.get_mut(number));
            if let Some(count) = count {
                *count += times;
            }
        };
        match self {
            Self::Memory(effects) => {
                let effects = effects.lock().unwrap_or_else(PoisonError::into_inner);
                effects.iter().for_each(|number| add(*number, 1));
            }
            Self::Postgres(schema) => schema.count(&mut add).await?,
        }
        Ok(counts)
    }

    /// The schema, if it is one.
    pub(crate) fn schema(&self) -> Option<&Schema> {
        match self {
            Self::Memory(_) => None,
            Self::Postgres(schema) => Some(schema),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_second_effect_is_not_hidden() {
        let ledger = Ledger::Memory(Arc::new(Mutex::new(vec![2, 0, 2])));
        assert_eq!(ledger.counts(4).await.expect("no database is asked"), [1, 0, 2, 0]);
    }
}
