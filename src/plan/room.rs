//! Room for handlers and threads where the program gives none: each part only
//! if its variable is set, on every kernel.

use super::parts::{Depth, Part};
use super::{Plan, Reason};
use crate::config::{self, Config};

/// Whether the room of handlers, on any kernel, is a reason to act.
pub(super) fn asked(config: &Config) -> bool {
    config.altstack_all != config::AltstackAll::Off
        || !config.onstack.is_empty()
        || config.thread_stack_min.is_some()
        || config.depth != config::Depth::Off
}

/// Bytes that an alternate stack needs: two frames of `frame` bytes, and `room`
/// for handlers.
#[must_use]
pub const fn needed(frame: usize, room: usize) -> usize {
    frame.saturating_mul(2).saturating_add(room)
}

impl Plan<'_> {
    /// Fills in the parts that give handlers room where the program gives
    /// none. Each only does what its variable asks for.
    pub(super) fn make_room(&mut self, config: &Config) {
        let part = |set: bool| if set { Reason::Set } else { Reason::Default };
        let all = config.altstack_all == config::AltstackAll::On;
        self.altstack_all = Part::new(all, part(all));
        self.onstack = Part::new(config.onstack, part(!config.onstack.is_empty()));
        let least = config.thread_stack_min;
        self.thread_stack_min = Part::new(least.unwrap_or(0), part(least.is_some()));
        self.depth = match config.depth {
            config::Depth::Off => Part::new(Depth::Off, Reason::Default),
            config::Depth::Ours => Part::new(Depth::Ours, Reason::Set),
            config::Depth::Paint => Part::new(Depth::All, Reason::Set),
        };
    }
}
