//! What of one key is on its way back to the broker, so that nothing of the key overtakes it.

use std::sync::Arc;

use super::{flights::Flight, session::Session};

/// What tells a message from others of its key when it is delivered again.
pub(crate) type Identity = (Option<String>, Option<String>);

/// Deliveries that were handed back and are not yet settled. While there are any, the broker may
/// still hand out what follows them.
#[derive(Default)]
pub(crate) struct WayBack {
    session: Option<Arc<Session>>,
    going: Vec<Identity>,
    /// All that went back since the way was last free, in the order of the key.
    order: Vec<Identity>,
}

impl WayBack {
    /// Notes that a delivery goes back.
    pub(crate) fn goes(&mut self, flight: &Flight) -> Identity {
        let message = identity(flight);
        self.session = Some(Arc::clone(&flight.permit.session));
        if !self.order.contains(&message) {
            self.order.push(message.clone());
        }
        self.going.push(message.clone());
        message
    }

    /// Notes that it has arrived, or was given up. Whether the way is free now.
    pub(crate) fn has_gone(&mut self, message: &Identity) -> bool {
        if let Some(place) = self.going.iter().position(|going| going == message) {
            self.going.swap_remove(place);
        }
        if self.going.is_empty() {
            *self = Self::default();
        }
        self.is_free()
    }

    pub(crate) fn is_free(&self) -> bool {
        self.going.is_empty()
    }

    /// Whether a delivery that comes now from the same session must go back too.
    pub(crate) fn must_follow(&self, flight: &Flight) -> bool {
        let same = |session| Arc::ptr_eq(&flight.permit.session, session);
        !self.is_free() && self.session.as_ref().is_some_and(same) && !self.stays(flight)
    }

    /// Whether a delivery stands before all that are on their way.
    pub(crate) fn stays(&self, flight: &Flight) -> bool {
        let place = |message: &Identity| self.order.iter().position(|known| known == message);
        let earliest = self.going.iter().filter_map(place).min();
        match (place(&identity(flight)), earliest) {
            (Some(place), Some(earliest)) => place < earliest,
            _ => false,
        }
    }
}

fn identity(flight: &Flight) -> Identity {
    let origin = &flight.delivery.origin;
    (origin.position.clone(), origin.message_id.clone())
}
