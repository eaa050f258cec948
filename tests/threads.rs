//! Threads that end, in whatever way: their stacks are held to the last and released then.

use sigward_harness::scenarios::THREADS;

#[test]
fn stacks_are_held_to_the_last_and_then_released() {
    let broken = THREADS.broken();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
