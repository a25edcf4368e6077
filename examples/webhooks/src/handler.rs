//! What is done with a webhook: one effect in the ledger, with all the trouble that the plan makes.

use std::{panic, sync::Arc};

use serde::Deserialize;
use steadfast::{Context, Handler, HandlerError, Message};

use crate::{
    ledger::Ledger,
    plan::{DELIVERY, EVENT, PANICKING, Plan, REFUSED, Trouble, UNWANTED},
};

/// As much of a webhook's body as this handler needs.
#[derive(Debug, Deserialize)]
pub(crate) struct Activity {
    action: Option<String>,
    sender: Option<Account>,
}

#[derive(Debug, Deserialize)]
struct Account {
    login: String,
}

/// Writes the webhook down in the ledger.
pub(crate) struct WriteDown {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) plan: Plan,
}

impl Handler for WriteDown {
    type Message = Activity;

    async fn handle(&self, activity: Activity, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let number = cx.headers().text(DELIVERY).and_then(Plan::number);
        let number = number.ok_or_else(|| HandlerError::permanent("no delivery id of ours"))?;
        match cx.headers().text(EVENT) {
            Some(REFUSED) => {
                let action = activity.action.as_deref().unwrap_or("nothing");
                return Err(HandlerError::permanent(format!("{action}: nothing is sold here")));
            }
            Some(PANICKING) => panic!("{BUG}"),
            _ => {}
        }
        match self.plan.trouble(number) {
            Trouble::Fails(times) if cx.attempt() <= times => {
                let who = activity.sender.map_or_else(|| "nobody".to_owned(), |it| it.login);
                return Err(HandlerError::transient(format!("{who} cannot be reached")));
            }
            // The timeout ends it.
            Trouble::Hangs if cx.attempt() == 1 => std::future::pending().await,
            _ => {}
        }
        self.ledger.write(number, cx).await
    }
}

/// The filter.
pub(crate) fn wants(message: &Message) -> bool {
    message.headers.text(EVENT) != Some(UNWANTED)
}

/// Keeps the panics of [`PANICKING`], which are meant, from standard error.
pub(crate) fn silence_the_bug() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some(BUG) {
            others(panic);
        }
    }));
}

const BUG: &str = "the handler of wiki pages has a bug";
