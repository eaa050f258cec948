//! What answers most calls without the tree. [`Watch`](super::Watch) writes it.

use core::sync::atomic::{AtomicU8, AtomicUsize};

/// No page below this address has been raised since [`clear`](super::clear). The kernel maps
/// new memory below what is there, and so below most stacks.
pub(super) static LOWEST: AtomicUsize = AtomicUsize::new(usize::MAX);

/// How many raised ranges have pages above the tree's.
pub(super) static ABOVE: AtomicUsize = AtomicUsize::new(0);

/// How calls are answered.
pub(super) static ANSWER: AtomicU8 = AtomicU8::new(SHUT);
/// No call affects a watched page.
pub(super) const SHUT: u8 = 0;
/// The tree decides.
pub(super) const EXACT: u8 = 1;
/// Any call may affect a watched page.
pub(super) const PERHAPS: u8 = 2;
