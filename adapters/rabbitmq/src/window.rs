//! How many messages the server may send ahead.
//!
//! RabbitMQ bounds what is unsettled by number only. So the number is chosen such that the largest
//! messages seen, all of them at once, fit into the bound on bytes.

/// The prefetch of a session.
#[derive(Debug)]
pub(crate) struct Window {
    max_messages: usize,
    max_bytes: usize,
    /// What the sizes of the messages allow.
    prefetch: usize,
    /// The largest message of the last full window, and of the one that is being seen: one large
    /// message is remembered for a while, and not for good.
    largest_before: usize,
    largest_now: usize,
    /// Messages of the window that is being seen.
    in_window: usize,
    /// Messages since the prefetch last shrank; of those before it last grew, as many as it had to see.
    seen: usize,
    /// Whether it has grown since consumers were last opened.
    grown: bool,
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
        Self {
            max_messages,
            max_bytes,
            prefetch: (max_bytes / EXPECTED_BYTES).clamp(1, max_messages),
            largest_before: 1,
            largest_now: 1,
            in_window: 0,
            seen: 0,
            grown: false,
        }
    }

    /// Notes a message. The prefetch shrinks at once, and grows slowly: it doubles when as many have come as
    /// it lets come. More could not be asked for, since whoever settles nothing is sent no more.
    pub(crate) fn saw(&mut self, bytes: usize) {
        if self.in_window == WINDOW {
            self.largest_before = std::mem::replace(&mut self.largest_now, 1);
            self.in_window = 0;
        }
        self.largest_now = self.largest_now.max(bytes);
        self.in_window += 1;
        self.seen += 1;
        let fits = (self.max_bytes / self.largest()).clamp(1, self.max_messages);
        let grows = is_worth_it(self.prefetch, fits, self.max_messages);
        if fits < self.prefetch {
            self.prefetch = fits;
            self.seen = 0;
            self.grown = false;
        } else if grows && self.seen >= self.prefetch {
            self.seen = self.prefetch;
            self.prefetch = fits.min(2 * self.prefetch);
            self.grown = true;
        }
    }

    /// Consumers were opened for what was wanted.
    pub(crate) fn opened(&mut self) {
        self.grown = false;
    }

    /// How many the server should be allowed to send, when it is `open` for so many now and these
    /// messages and bytes are held beside them.
    ///
    /// Never 0, so that there is always a consumer that shows when the session is lost: beside what
    /// fills the bounds, one message more may come.
    pub(crate) fn wanted(&self, open: usize, (messages, bytes): (usize, usize)) -> usize {
        if self.prefetch < open {
            return self.prefetch;
        }
        let fitting = self.max_bytes.saturating_sub(bytes) / self.largest();
        let room = fitting.min(self.max_messages.saturating_sub(messages));
        let room = room.clamp(1, self.prefetch);
        let grows = is_worth_it(open, room, self.prefetch) || (self.grown && room > open);
        if grows { room } else { open }
    }

    fn largest(&self) -> usize {
        self.largest_before.max(self.largest_now)
    }
}

/// Whether to grow: by no small steps, but for the last one.
fn is_worth_it(now: usize, then: usize, most: usize) -> bool {
    then > now && (then >= 2 * now || then == most)
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
                changes.push(wanted);
            }
        }
        changes
    }

    #[test]
    fn small_messages_leave_the_bound_on_their_number() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.wanted(0, NOTHING);
        assert_eq!(open, 64);
        assert!(see(&mut window, &mut open, 1000, 1000).is_empty());
    }

    #[test]
    fn a_large_message_shrinks_it_at_once() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.wanted(0, NOTHING);
        assert_eq!(see(&mut window, &mut open, 1, 8 << 20), [8]);
    }

    #[test]
    fn one_large_message_throttles_for_a_while_and_not_for_good() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.wanted(0, NOTHING);
        assert_eq!(see(&mut window, &mut open, 1, 64 << 20), [1]);
        let meanwhile = see(&mut window, &mut open, WINDOW, 1000);
        assert!(meanwhile.is_empty(), "it is remembered for a window");
        assert_eq!(see(&mut window, &mut open, 4 * WINDOW, 1000), [2, 4, 8, 16, 32, 64]);
    }

    #[test]
    fn large_messages_that_come_now_and_then_keep_it_small() {
        let mut window = Window::new(64, 64 << 20);
        let mut open = window.wanted(0, NOTHING);
        see(&mut window, &mut open, 1, 64 << 20);
        for number in 0..1000 {
            let bytes = if number % WINDOW == 0 { 64 << 20 } else { 1000 };
            assert!(see(&mut window, &mut open, 1, bytes).is_empty());
        }
    }

    #[test]
    fn it_grows_to_the_bound_whatever_number_that_is() {
        let mut window = Window::new(100, 256 << 10);
        let mut open = window.wanted(0, NOTHING);
        assert_eq!(open, 2);
        assert_eq!(see(&mut window, &mut open, 1000, 1000), [4, 8, 16, 32, 64, 100]);
    }

    #[test]
    fn who_settles_nothing_is_sent_as_many_as_he_may_hold() {
        let mut window = Window::new(5000, 64 << 20);
        let mut open = window.wanted(0, NOTHING);
        assert_eq!(open, 512);
        let mut held = 0;
        while held < open {
            held += 1;
            see(&mut window, &mut open, 1, 1000);
        }
        assert_eq!(held, 5000);
    }

    #[test]
    fn who_settles_nothing_is_sent_as_many_where_one_consumer_takes_anothers_place() {
        for most in [100, 777, 1024, 5000] {
            let mut window = Window::new(most, 2 << 20);
            let mut open = window.wanted(0, NOTHING);
            // By the consumer that is open, and by those before it.
            let (mut held, mut left) = (0, 0);
            while held < open {
                held += 1;
                window.saw(100);
                if window.wanted(open, (left, 100 * left)) != open {
                    left += std::mem::take(&mut held);
                    open = window.wanted(0, (left, 100 * left));
                    window.opened();
                }
            }
            assert_eq!(left + held, most);
        }
    }

    #[test]
    fn a_small_bound_begins_with_one_and_ends_where_the_next_would_not_fit() {
        let mut window = Window::new(1000, 2500);
        let mut open = window.wanted(0, NOTHING);
        assert_eq!(open, 1);
        assert_eq!(see(&mut window, &mut open, 100, 1000), [2]);
    }

    #[test]
    fn what_is_held_beside_it_takes_its_room_until_it_is_settled() {
        let mut window = Window::new(64, 64 << 20);
        window.saw(1100 << 10);
        assert_eq!(window.wanted(64, NOTHING), 59);
        let left = |messages| window.wanted(1, (messages, messages << 10));
        assert_eq!(window.wanted(0, (64, 64 << 10)), 1, "full, and yet not silent");
        assert_eq!([64, 63, 62, 60, 32, 5, 0].map(left), [1, 1, 2, 4, 32, 59, 59]);
        assert_eq!(window.wanted(32, (3, 3 << 10)), 59, "the last step may be small");
        assert_eq!(window.wanted(59, (64, 64 << 20)), 59, "nothing that was sent is taken back");
    }

    #[test]
    fn no_bound_is_taken_for_the_servers_absence_of_one() {
        assert_eq!(Window::new(0, 0).wanted(0, NOTHING), 1);
        let most = Window::new(usize::MAX, usize::MAX).wanted(0, NOTHING);
        assert_eq!(most, usize::from(u16::MAX));
    }
}
