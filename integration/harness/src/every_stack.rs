//! Tests with every alternate stack replaced: `make test-every-stack`.
//!
//! With `EVERY_STACK=1` each run with the library that does not choose `SIGWARD_SIZE` itself gets
//! [`SETTINGS`]. What the tests assert must hold then too, but for what they name by
//! [`unless_every_stack_is_ours`] and [`pages_held`].

use std::env;
use std::sync::OnceLock;

/// What makes nearly every alternate stack one of the library's: handlers need that much room.
pub const SETTINGS: [(&str, &str); 2] = [("SIGWARD_SIZE", "fix"), ("SIGWARD_SIZE_ROOM", "64K")];

/// Programs that print whether a variable of a handler is in the program's buffer, or die because
/// their stack is not writable: they differ with these settings.
pub const KNOW_PLACE: [&str; 3] = ["altstack_mmap", "autodisarm", "altstack_unwritable"];

/// Whether this test process has these settings.
#[must_use]
pub fn requested() -> bool {
    static REQUESTED: OnceLock<bool> = OnceLock::new();
    *REQUESTED.get_or_init(|| env::var_os("EVERY_STACK").is_some_and(|value| value == "1"))
}

/// Whether to assert what must be different with these settings; `reason` says why it must.
#[must_use]
pub fn unless_every_stack_is_ours(reason: &str) -> bool {
    if requested() {
        eprintln!("not asserted where every stack is ours: {reason}");
    }
    !requested()
}

/// How many of `pages` pages of the program's own stack the library holds: it holds its own instead
/// if every stack is one of its own.
#[must_use]
pub fn pages_held<Count: Default>(pages: Count) -> Count {
    if requested() { Count::default() } else { pages }
}
