//! How many messages the server may send ahead.
//!
//! RabbitMQ bounds what is unsettled by number only. So the number is chosen such that the largest
//! messages seen, all of them at once, fit into the bound on bytes.

/// The bounds of a session, and the sizes that it has seen.
#[derive(Debug)]
pub(crate) struct Window {
    max_messages: usize,
    max_bytes: usize,
    /// The largest message of the last full window, and of the one that is being seen: one large
    /// message is remembered for a while, and not for good.
    largest_before: usize,
    largest_now: usize,
    /// Messages of the window that is being seen.
    in_window: usize,
    /// Messages since the prefetch was last changed.
    seen: usize,
}

/// Messages for which the largest of them is remembered, at least; at most twice as many.
const WINDOW: usize = 64;

/// What a message is taken for before one was seen: at 64 messages and 64 MiB, the defaults of a
/// consumer, nothing is held back.
const EXPECTED_BYTES: usize = 128 << 10;

impl Window {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Self {
        Self {
            // 0 would be no bound at all.
            max_messages: max_messages.clamp(1, u16::MAX.into()),
            max_bytes,
            largest_before: 1,
            largest_now: 1,
            in_window: 0,
            seen: 0,
        }
    }

    /// The prefetch before anything was seen.
    pub(crate) fn first(&self) -> usize {
        (self.max_bytes / EXPECTED_BYTES).clamp(1, self.max_messages)
    }

    pub(crate) fn saw(&mut self, bytes: usize) {
        if self.in_window == WINDOW {
            self.largest_before = std::mem::replace(&mut self.largest_now, 1);
            self.in_window = 0;
        }
        self.largest_now = self.largest_now.max(bytes);
        self.in_window += 1;
        self.seen += 1;
    }

    /// What the prefetch should be, when it is `open` now and these messages and bytes are held beside
    /// it. It shrinks at once, and grows slowly and by no small steps.
    ///
    /// It is never 0, so that there is always a consumer that shows when the session is lost: beside
    /// what fills the bounds, one message more may come.
    pub(crate) fn wanted(&self, open: usize, (messages, bytes): (usize, usize)) -> usize {
        let largest = self.largest_before.max(self.largest_now);
        let fitting = self.max_bytes.saturating_sub(bytes) / largest;
        let room = fitting.min(self.max_messages.saturating_sub(messages)).max(1);
        if open == 0 || room < open {
            return room;
        }
        let is_worth_it =
            room >= open + open.div_ceil(2) || (room > open && room == self.max_messages);
        if is_worth_it && self.seen >= 2 * open { room.min(2 * open) } else { open }
    }

    /// The prefetch is another now.
    pub(crate) fn changed(&mut self) {
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: (usize, usize) = (0, 0);

    /// Sees messages of this size, and follows what is wanted.
    fn see(window: &mut Window, open: &mut usize, messages: usize, bytes: usize) -> Vec<usize> {
        let mut changes = Vec::new();
        for _ in 0..messages {
            window.saw(bytes);
            let wanted = window.wanted(*open, NOTHING);
            if wanted != *open {
                *open = wanted;
                window.changed();
                changes.push(wanted);
            }
        }
        changes
    }

    #[test]
    fn small_messages_leave_the_bound_on_their_number() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.first();
        assert_eq!(open, 64);
        assert!(see(&mut window, &mut open, 1000, 1000).is_empty());
    }

    #[test]
    fn a_large_message_shrinks_it_at_once() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.first();
        assert_eq!(see(&mut window, &mut open, 1, 8 << 20), [8]);
    }

    #[test]
    fn one_large_message_throttles_for_a_while_and_not_for_good() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.first();
        assert_eq!(see(&mut window, &mut open, 1, 64 << 20), [1]);
        let meanwhile = see(&mut window, &mut open, WINDOW, 1000);
        assert!(meanwhile.is_empty(), "it is remembered for a window");
        assert_eq!(see(&mut window, &mut open, 4 * WINDOW, 1000), [2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn large_messages_that_come_now_and_then_keep_it_small() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.first();
        see(&mut window, &mut open, 1, 64 << 20);
        for number in 0..1000 {
            let bytes = if number % WINDOW == 0 { 64 << 20 } else { 1000 };
            assert!(see(&mut window, &mut open, 1, bytes).is_empty());
        }
    }

    #[test]
    fn it_grows_to_the_bound_whatever_number_that_is() {
        let mut window = Window::new(100, 256 << 10);
        let mut open = window.first();
        assert_eq!(open, 2);
        assert_eq!(see(&mut window, &mut open, 1000, 1000), [4, 8, 16, 32, 64, 100]);
    }

    #[test]
    fn a_small_bound_begins_with_one_and_ends_where_the_next_would_not_fit() {
        let mut window = Window::new(1000, 2500);
        let mut open = window.first();
        assert_eq!(open, 1);
        assert_eq!(see(&mut window, &mut open, 100, 1000), [2]);
    }

    #[test]
    fn what_is_held_beside_it_takes_its_room() {
        let mut window = Window::new(64, 64 << 20);
        window.saw(8 << 20);
        assert_eq!(window.wanted(64, NOTHING), 8);
        assert_eq!(window.wanted(0, (60, 40 << 20)), 3, "24 MiB are left");
        assert_eq!(window.wanted(0, (63, 1000)), 1, "one message is left");
        assert_eq!(window.wanted(0, (64, 64 << 20)), 1, "full, and yet not silent");
    }

    #[test]
    fn no_bound_is_taken_for_the_servers_absence_of_one() {
        assert_eq!(Window::new(0, 0).first(), 1);
        assert_eq!(Window::new(usize::MAX, usize::MAX).first(), usize::from(u16::MAX));
    }
}
