//! Deliveries on their way out, in the form in which a source takes them.

use std::sync::Arc;

use super::{flights::Permit, lanes::GoingBack, session::Session};
use crate::broker::Settle;

/// A delivery on its way out.
pub(crate) struct Leaving {
    pub(crate) settle: Settle,
    pub(crate) stub: Stub,
}

/// What the consumer keeps of a delivery until it is settled.
pub(crate) struct Stub {
    pub(crate) permit: Permit,
    /// Keeps its lane closed, where it did not end.
    _going_back: Option<GoingBack>,
    /// Settlements that did not go through.
    pub(crate) failures: u32,
}

/// What is settled through one session in one call. The two lists go together, one by one.
pub(crate) struct Batch {
    pub(crate) session: Arc<Session>,
    pub(crate) settles: Vec<Settle>,
    pub(crate) stubs: Vec<Stub>,
}

impl Leaving {
    pub(crate) fn new(settle: Settle, permit: Permit, going_back: Option<GoingBack>) -> Self {
        Self { settle, stub: Stub { permit, _going_back: going_back, failures: 0 } }
    }
}

impl Batch {
    /// Each session's part.
    pub(crate) fn by_session(leaving: impl ExactSizeIterator<Item = Leaving>) -> Vec<Self> {
        let most = leaving.len();
        let mut batches: Vec<Self> = Vec::new();
        for Leaving { settle, stub } in leaving {
            let session = &stub.permit.session;
            let batch = match batches.iter().position(|one| Arc::ptr_eq(&one.session, session)) {
                Some(known) => &mut batches[known],
                None => batches.push_mut(Self::new(Arc::clone(session), most)),
            };
            batch.settles.push(settle);
            batch.stubs.push(stub);
        }
        batches
    }

    fn new(session: Arc<Session>, most: usize) -> Self {
        Self { session, settles: Vec::with_capacity(most), stubs: Vec::with_capacity(most) }
    }

    pub(crate) fn len(&self) -> usize {
        self.settles.len()
    }
}
