//! The record of one stack of one thread. Other processes may read part of it.

use core::ffi::c_int;
use core::mem::offset_of;

use crate::os::page::Pages;
use crate::residency::hash_table::Entry;
use crate::residency::ladder::{self, Rung, Stack};
use crate::state::published_block::{self, BLOCK};

/// The role of a stack for its thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// The alternate stack in force.
    Current,
    /// Prepared for a sigaltstack(2) call that is in progress.
    Pending,
    /// Disarmed by `SS_AUTODISARM` while its handler runs: the kernel will
    /// restore it.
    Disarmed,
    /// The thread's own stack, of which a part is held.
    Ordinary,
}

impl Role {
    pub(super) const ALL: [Role; 4] =
        [Role::Current, Role::Pending, Role::Disarmed, Role::Ordinary];
}

/// A stack to be made resident.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub struct Wanted {
    /// Its address and size.
    pub stack: Stack,
    /// How many bytes at its top frames need.
    pub headroom: usize,
    /// The rung to start from.
    pub start: Rung,
    /// Whether it was registered with `SS_AUTODISARM`.
    pub disarms: bool,
}

/// One stack of one thread. Other processes may read the fields before
/// `watched`: see [`published_block`], and `docs/published-block.md` for the rules of the
/// layout and planned additions.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
pub(super) struct Record {
    pub(super) key: usize,
    pub(super) wanted: Wanted,
    /// The pages that were made resident: from the top down to a hole, or to
    /// the end of what is watched.
    pub(super) held: Pages,
    /// The pinned ones among them, from the top down.
    pub(super) locked: Pages,
    pub(super) thread: c_int,
    pub(super) role: Role,
    /// How they are held.
    pub(super) rung: Rung,
    /// Whether it filled a mapping that the program made when it was adopted
    /// (see [`origin`](crate::residency::origin)), and we have kept it locked
    /// ever since.
    pub(super) proven: bool,
    /// For how many memory calls in progress it is released.
    pub(super) suspended: u32,
    /// The pages on which memory calls are watched: those that would be held if
    /// there were no hole.
    pub(super) watched: Pages,
    /// The thread pointer of its thread.
    pub(super) pointer: usize,
    /// The pages that the current fork, or the last one, does not copy.
    /// Resetting this after a fork would make the kernel copy the table.
    pub(super) wiped: Pages,
}

// `docs/published-block.md` states these offsets.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(offset_of!(Record, held) == 40);
    assert!(offset_of!(Record, locked) == 56);
    assert!(offset_of!(Record, thread) == 72);
    assert!(offset_of!(Record, rung) == 77);
    assert!(offset_of!(Record, suspended) == 80);
    assert!(offset_of!(Record, watched) == 88);
};

// SAFETY: zeroes are a record with key 0, which no thread has, and `Rung::Lock`
// has discriminant 0.
unsafe impl Entry for Record {
    fn key(&self) -> usize {
        self.key
    }

    fn moved_to(address: usize, capacity: usize) {
        let entry = published_block::EntryLayout {
            size: size_of::<Record>(),
            published: offset_of!(Record, watched),
        };
        BLOCK.table_is_at(address, capacity, entry);
    }

    fn gone_from(address: usize) {
        BLOCK.table_was_at(address);
    }
}

impl Record {
    /// No stack. All zeroes, so that the registry takes no room in the file.
    pub(super) const NONE: Record = Record {
        key: 0,
        pointer: 0,
        wanted: Wanted {
            stack: Stack { base: 0, size: 0 },
            headroom: 0,
            start: Rung::Lock,
            disarms: false,
        },
        held: Pages::NONE,
        locked: Pages::NONE,
        thread: 0,
        role: Role::Current,
        rung: Rung::Lock,
        proven: false,
        suspended: 0,
        watched: Pages::NONE,
        wiped: Pages::NONE,
    };

    pub(super) fn tid(&self) -> c_int {
        self.thread
    }

    pub(super) fn ordinary(&self) -> bool {
        self.role == Role::Ordinary
    }

    /// Whether the first attempt of the ladder succeeded.
    pub(super) fn at_its_best(&self) -> bool {
        let best = self.attempts(self.watched).next();
        best.is_none_or(|best| best.rung == self.rung)
    }

    pub(super) fn attempts(&self, usable: Pages) -> impl Iterator<Item = ladder::Attempt> + use<> {
        let Wanted { stack, headroom, start, .. } = self.wanted;
        ladder::attempts(stack, headroom, usable, start)
    }

    pub(super) fn pinned(&self) -> bool {
        !self.locked.is_empty()
    }

    /// The pages that should stay held while other threads run, if possible.
    /// Only deeply nested frames need what lies below them.
    pub(super) fn firm(&self) -> Pages {
        if self.pinned() { self.locked } else { self.held }
    }

    pub(super) fn concerns(&self, pages: Pages) -> bool {
        !self.watched.common(pages).is_empty()
    }
}

pub(super) fn key(tid: c_int, role: Role) -> usize {
    (tid as usize).wrapping_mul(4).wrapping_add(role as usize)
}
