//! The region that is counted.

use std::hint::black_box;

/// Runs what is to be counted, and nothing else does.
///
/// Callgrind switches collecting on and off where it enters and leaves this function, by its name:
/// it must not be generic, inlined, or left by a jump.
#[inline(never)]
pub fn measured(body: &mut dyn FnMut()) {
    body();
    black_box(());
}
