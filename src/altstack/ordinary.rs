//! Ordinary stacks: a handler without `SA_ONSTACK` gets its frame on the
//! thread's own stack, below all that was touched so far.

use super::ladder::{Rung, Stack};
use super::registry::{Place, Wanted};
use super::{adopt, charge};
use crate::bounds::Bounds;
use crate::sys::{call, startup};

/// How much of each ordinary stack is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// This many bytes below the stack pointer at the thread's start.
    Window(usize),
    /// All of it.
    Full,
}

/// Holds the calling thread's own stack within `bounds`, as far as `extent`
/// says, from the present stack pointer down. Async-signal-safe.
pub fn adopt_own(bounds: Bounds, extent: Extent) {
    let top = startup::stack_pointer();
    let wish = match extent {
        Extent::Window(bytes) => top.saturating_sub(bytes),
        Extent::Full => 0,
    };
    let base = wish.max(bounds.lowest);
    if base >= top {
        return;
    }
    let size = top - base;
    let Some(state) = charge() else { return };
    let wanted = Wanted {
        stack: Stack { base, size },
        window: size,
        start: state.policy.start.max(Rung::Frame),
        disarms: false,
    };
    adopt(state, call::gettid(), Place::Ordinary, wanted);
}
