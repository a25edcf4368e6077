//! How many messages the server may send ahead.
//!
//! RabbitMQ bounds what is unsettled by number only. So the number is chosen such that the largest
//! messages seen, all of them at once, fit into the bound on bytes.

/// The prefetch of a session.
#[derive(Debug)]
pub(crate) struct Window {
    max_messages: usize,
    max_bytes: usize,
    prefetch: usize,
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
        // 0 would be no bound at all.
        let max_messages = max_messages.clamp(1, u16::MAX.into());
        let prefetch = (max_bytes / EXPECTED_BYTES).clamp(1, max_messages);
        Self {
            max_messages,
            max_bytes,
            prefetch,
            largest_before: 1,
            largest_now: 1,
            in_window: 0,
            seen: 0,
        }
    }

    pub(crate) fn prefetch(&self) -> u16 {
        u16::try_from(self.prefetch).unwrap_or(u16::MAX)
    }

    /// Notes a message; whether the prefetch should be another now. It shrinks at once, and grows
    /// slowly.
    pub(crate) fn saw(&mut self, bytes: usize) -> bool {
        if self.in_window == WINDOW {
            self.largest_before = std::mem::replace(&mut self.largest_now, 1);
            self.in_window = 0;
        }
        self.largest_now = self.largest_now.max(bytes);
        self.in_window += 1;
        self.seen += 1;
        let wanted = (self.max_bytes / self.largest()).clamp(1, self.max_messages);
        let grows = wanted >= self.prefetch * 2 && self.seen >= self.prefetch * 2;
        let changes = wanted < self.prefetch || grows;
        if changes {
            self.prefetch = wanted.min(self.prefetch * 2);
            self.seen = 0;
        }
        changes
    }

    fn largest(&self) -> usize {
        self.largest_before.max(self.largest_now)
    }

    /// Whether a full prefetch fits beside what is unsettled.
    pub(crate) fn fits_beside(&self, messages: usize, bytes: usize) -> bool {
        messages == 0
            || (messages + self.prefetch <= self.max_messages
                && bytes.saturating_add(self.prefetch * self.largest()) <= self.max_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_messages_leave_the_bound_on_their_number() {
        let mut window = Window::new(64, 64 << 20);
        assert_eq!(window.prefetch(), 64);
        assert!((0..1000).all(|_| !window.saw(1000)));
    }

    #[test]
    fn a_large_message_shrinks_it_at_once() {
        let mut window = Window::new(64, 64 << 20);
        assert!(window.saw(8 << 20));
        assert_eq!(window.prefetch(), 8);
    }

    #[test]
    fn one_large_message_throttles_for_a_while_and_not_for_good() {
        let mut window = Window::new(64, 64 << 20);
        assert!(window.saw(64 << 20));
        assert_eq!(window.prefetch(), 1);
        assert!((0..WINDOW).all(|_| !window.saw(1000)), "it is remembered for one window");
        for _ in 0..4 * WINDOW {
            window.saw(1000);
        }
        assert_eq!(window.prefetch(), 64);
    }

    #[test]
    fn large_messages_that_come_now_and_then_keep_it_small() {
        let mut window = Window::new(64, 64 << 20);
        window.saw(64 << 20);
        for number in 0..1000 {
            window.saw(if number % WINDOW == 0 { 64 << 20 } else { 1000 });
            assert_eq!(window.prefetch(), 1);
        }
    }

    #[test]
    fn a_small_bound_begins_with_one_and_grows_as_messages_prove_small() {
        let mut window = Window::new(1000, 2500);
        let mut seen = vec![window.prefetch()];
        for _ in 0..100 {
            if window.saw(1000) {
                seen.push(window.prefetch());
            }
        }
        assert_eq!(seen, [1, 2]);
        assert!(window.fits_beside(0, 0) && !window.fits_beside(1, 1000));
    }

    #[test]
    fn no_bound_is_taken_for_the_servers_absence_of_one() {
        assert_eq!(Window::new(0, 0).prefetch(), 1);
        assert_eq!(Window::new(usize::MAX, usize::MAX).prefetch(), u16::MAX);
    }
}
