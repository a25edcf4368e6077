//! How many messages are under way at the same time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Room for messages under way, of which each destination has a share: one that does not answer keeps its
/// own messages waiting, and not those of others.
pub(crate) struct Room {
    all: Semaphore,
    shares: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The place of one message, until this is dropped.
pub(crate) struct Place<'a> {
    _share: OwnedSemaphorePermit,
    _all: SemaphorePermit<'a>,
}

/// Messages under way at the same time: in all, and to one destination.
const ALL: usize = 32;
const SHARE: usize = 8;

impl Room {
    pub(crate) fn new() -> Self {
        Self { all: Semaphore::new(ALL), shares: Mutex::default() }
    }

    /// Waits for a place. Cancel safe.
    pub(crate) async fn place(&self, destination: &str) -> Result<Place<'_>, AcquireError> {
        let share = self.share(destination).acquire_owned().await?;
        Ok(Place { _share: share, _all: self.all.acquire().await? })
    }

    fn share(&self, destination: &str) -> Arc<Semaphore> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(destination).and_then(Weak::upgrade) {
            return share;
        }
        // Those to which nothing is under way any more.
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Semaphore::new(SHARE));
        shares.insert(destination.to_owned(), Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    fn place<'a>(room: &'a Room, destination: &str) -> Option<Place<'a>> {
        Some(room.place(destination).now_or_never()?.unwrap())
    }

    #[test]
    fn a_destination_that_does_not_answer_leaves_room_for_others() {
        let room = Room::new();
        let mut hung: Vec<_> = (0..SHARE).map(|_| place(&room, "hung").unwrap()).collect();
        assert!(place(&room, "hung").is_none(), "it has its share");
        assert!(place(&room, "other").is_some());
        hung.pop();
        assert!(place(&room, "hung").is_some());
    }

    #[test]
    fn all_together_have_a_bound() {
        let room = Room::new();
        let names: Vec<_> = (0..ALL).map(|number| number.to_string()).collect();
        let taken: Vec<_> = names.iter().map(|name| place(&room, name).unwrap()).collect();
        assert!(place(&room, "one more").is_none());
        drop(taken);
        assert!(place(&room, "one more").is_some());
    }

    #[test]
    fn destinations_to_which_nothing_is_under_way_are_forgotten() {
        let room = Room::new();
        let used = place(&room, "used").unwrap();
        for number in 0..100 {
            place(&room, &number.to_string()).unwrap();
        }
        assert_eq!(room.shares.lock().unwrap().len(), 2, "the one in use, and the last");
        drop(used);
    }
}
