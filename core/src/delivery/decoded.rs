//! Where the decoded message waits for its handler.

use std::any::Any;

use crate::failure::drop_safely;

/// A place for one decoded message, of a type that only the layers know. A worker uses its place
/// for one delivery after another, so that it is allocated once.
#[derive(Default)]
pub(crate) struct Decoded(Option<Box<dyn Place>>);

trait Place: Any + Send {
    fn clear(&mut self);
}

impl<M: Send + 'static> Place for Option<M> {
    fn clear(&mut self) {
        drop_safely(self.take());
    }
}

impl Decoded {
    pub(crate) fn put<M: Send + 'static>(&mut self, message: M) {
        match self.place() {
            Some(place) => *place = Some(message),
            None => self.0 = Some(Box::new(Some(message))),
        }
    }

    pub(crate) fn get<M: 'static>(&self) -> Option<&M> {
        let place: &dyn Any = &**self.0.as_ref()?;
        place.downcast_ref::<Option<M>>()?.as_ref()
    }

    pub(crate) fn take<M: 'static>(&mut self) -> Option<M> {
        self.place()?.take()
    }

    /// The place, with nothing in it.
    pub(crate) fn into_empty(mut self) -> Self {
        if let Some(place) = &mut self.0 {
            place.clear();
        }
        self
    }

    fn place<M: 'static>(&mut self) -> Option<&mut Option<M>> {
        let place: &mut dyn Any = &mut **self.0.as_mut()?;
        place.downcast_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_and_for_another_type() {
        let mut decoded = Decoded::default();
        decoded.put("first".to_owned());
        assert_eq!(decoded.get::<String>().unwrap(), "first");
        decoded.put("second".to_owned());
        assert_eq!(decoded.take::<String>().unwrap(), "second");
        assert_eq!(decoded.take::<String>(), None);
        decoded.put(3_u8);
        assert_eq!(decoded.get::<String>(), None);
        assert_eq!(decoded.into_empty().take::<u8>(), None);
    }

    #[test]
    fn a_message_whose_destructor_panics_leaves_an_empty_place() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("from a destructor");
            }
        }
        let mut decoded = Decoded::default();
        decoded.put(Bomb);
        assert!(decoded.into_empty().get::<Bomb>().is_none());
    }
}
