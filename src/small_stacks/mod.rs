//! Defect `altstack-size`: alternate stacks too small for today's frames.
//!
//! Programs contain `SIGSTKSZ` (8192) or `MINSIGSTKSZ` (2048) as constants, but
//! a frame with AVX-512 or AMX state is larger. `judge` tells how much of a
//! stack is usable and how much is needed. A stack that is too small is
//! reported, or the kernel gets a larger one of ours with a guard page
//! (`substitutes`), and the program sees its own when it asks. See
//! `docs/altstack-size.md`.
//!
//! On a kernel where nothing else is to be done, [`finish`] runs after
//! libc's call if the size is below [`LOOK`], and there is no state before the first stack of ours.

mod arena;
pub mod depth;
pub mod every_thread;
mod judge;
mod last_signal;
pub mod onstack;
pub mod overflow;
pub mod permission;

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use once_cell::race::OnceRef;

use self::judge::{LEAST, Thresholds};
use crate::arch;
use crate::os::{call, errno, futex, page, user_memory};
pub use crate::plan::Remedy;
use crate::residency::adopt::{installed, is_disable};
use crate::residency::charge::{OWNER, ours, thread_ends_are_seen};
use crate::residency::frame;
use crate::residency::ladder::Stack;
use crate::residency::origin;
use crate::residency::stack_memory;
use crate::residency::substitutes::{self, Claim, Refusal, Replaced};
use crate::state::published_block::{self, BLOCK};
use crate::state::stats;

const REMEDY: &AtomicU8 = &BLOCK.force.remedy;

/// Bytes that handlers need beside their frames.
static ROOM: AtomicUsize = AtomicUsize::new(crate::plan::ROOM);

/// The size from which on a stack needs no closer look where nothing else is to
/// be done: more than any frame, until the first look; `usize::MAX` once there
/// is a stack of ours, because each call may then replace it.
pub static LOOK: AtomicUsize = AtomicUsize::new(64 << 10);

/// Whether a sigaltstack(2) that returned `result` needs no closer look: it
/// succeeded, with a stack large enough. Async-signal-safe.
///
/// # Safety
/// `new` is what the call was given: after a success, the kernel has read it.
#[inline]
#[must_use]
pub unsafe fn is_enough(result: c_int, new: *const libc::stack_t) -> bool {
    // SAFETY: as above.
    result == 0 && unsafe { new.read_unaligned() }.ss_size >= LOOK.load(Ordering::Relaxed)
}

/// Sets the remedy, how much room handlers need, and whether stacks of ours get
/// a name. Call this once, at load.
pub fn take_charge(remedy: Remedy, room: usize, names: bool) {
    if room != crate::plan::ROOM {
        ROOM.store(room, Ordering::Relaxed);
    }
    if names {
        stack_memory::give_names();
    }
    resume(remedy);
}

/// Tells how to find out whether a range is in an object that is never unloaded.
/// Async-signal-safe. Call this once, at load.
pub fn objects_are_known(is_static: &'static fn(Stack) -> bool) {
    let _ = IS_STATIC.set(is_static);
}

/// The program calls mlockall(2) with `MCL_FUTURE`: our stacks are not to be
/// locked by that.
pub fn memory_is_locked_ahead() {
    stack_memory::memory_is_locked_ahead();
}

/// Whether the program has installed a seccomp filter, or is about to: then our
/// stacks are not unmapped. Returns what was so before. Async-signal-safe.
#[must_use]
pub fn filtered(filtered: bool) -> bool {
    stack_memory::stay(filtered)
}

/// Sets the remedy, in which the default needs no write.
pub(crate) fn resume(remedy: Remedy) {
    REMEDY.store(remedy as u8, Ordering::Relaxed);
}

fn remedy() -> Remedy {
    match REMEDY.load(Ordering::Relaxed) {
        1 => Remedy::Report,
        2 => Remedy::Fix,
        3 => Remedy::Certain,
        _ => Remedy::None,
    }
}

/// Whether all stacks that may be too small are replaced: one relaxed load.
#[inline]
#[must_use]
pub fn fixing() -> bool {
    REMEDY.load(Ordering::Relaxed) == Remedy::Fix as u8
}

/// Stops replacing stacks. Returns the previous remedy.
pub(crate) fn stand_down() -> Remedy {
    let before = remedy();
    resume(Remedy::None);
    before
}

fn thresholds() -> Thresholds {
    Thresholds::of(frame::usual(), frame::size(), ROOM.load(Ordering::Relaxed))
}

/// `asked`, with what is usable and what would be enough, if it is to be
/// reported or replaced for its size.
fn too_small(asked: Stack) -> Option<Replaced> {
    let remedy = remedy();
    if remedy == Remedy::None || asked.size < LEAST {
        return None;
    }
    let Thresholds { certain, needed } = thresholds();
    if remedy == Remedy::Certain {
        let small = Replaced { stack: asked, usable: asked.size, needed: certain };
        return (asked.size < certain).then_some(small);
    }
    // This takes a page of memory, and here it would only tell more.
    let is_known =
        asked.size < needed && (stats::SMALL.read() != 0 || !log::log_enabled!(log::Level::Warn));
    let readable = |page: usize| user_memory::readable(page.wrapping_mul(page::size()), 8);
    let writable = |page: usize| is_known || futex::touch(page.wrapping_mul(page::size())).is_ok();
    let usable = judge::usable(asked, needed, readable, writable).min(asked.size);
    (usable < needed).then_some(Replaced { stack: asked, usable, needed })
}

/// The program is about to register `asked`: counts and logs it if it is too
/// small. Returns it if it is to be replaced.
pub(crate) fn judge(asked: Stack) -> Option<Replaced> {
    let Some(small) = too_small(asked) else { return may_dangle(asked) };
    tell(small);
    (remedy() != Remedy::Report).then_some(small)
}

/// What libc or the kernel refused for its size.
pub(crate) fn refused(asked: Stack) -> Replaced {
    Replaced { stack: asked, usable: asked.size, needed: thresholds().needed }
}

/// Whether a range lies in an object that was loaded at start, and so is never
/// unmapped.
static IS_STATIC: OnceRef<'static, fn(Stack) -> bool> = OnceRef::new();

/// `asked`, if all stacks are to be replaced that the program may free or reuse
/// while they are set, and this may be one: it does not fill a mapping that the
/// program made for it, and is no variable of the program's that stays. Those in
/// doubt are left alone: larger ones than any mapping that counts as a stack's,
/// and one that the program is running on.
fn may_dangle(asked: Stack) -> Option<Replaced> {
    let runs_there = || arch::stack_pointer().wrapping_sub(asked.base) < asked.size;
    let is_static = || IS_STATIC.get().is_some_and(|is_static| is_static(asked));
    let may = fixing()
        && (LEAST..=origin::LARGEST).contains(&asked.size)
        && !origin::proven(asked)
        && !runs_there()
        && !is_static();
    let needed = || thresholds().needed;
    may.then(|| Replaced { stack: asked, usable: asked.size, needed: needed() })
}

fn tell(small: Replaced) {
    let Replaced { stack, usable, needed } = small;
    if stats::SMALL.count() != 0 {
        return;
    }
    let (size, frame) = (stack.size, frame::size());
    let then = if remedy() == Remedy::Report {
        "Remedy: SIGWARD_SIZE=fix, or register as much"
    } else {
        "It is replaced by a larger one"
    };
    log::warn!(
        "an alternate stack of {size} bytes, {usable} of them usable, is too small: a signal frame \
         takes up to {frame} bytes, {needed} are needed in all. {then}"
    );
}

/// A stack to register instead of `asked`, for thread `tid` (0 if it was not
/// asked for).
fn make(tid: c_int, asked: Replaced) -> Option<Claim> {
    // The size that the program asked for, plus room for the frames.
    let more = asked.stack.size.saturating_add(frame::headroom());
    let size = more.max(thresholds().needed);
    let asks = tid != 0 && !thread_ends_are_seen();
    let ended = |other| {
        let ended = asks && !call::thread_exists(OWNER.pid(), other);
        if ended {
            depth::before_unmapping(other);
        }
        ended
    };
    let claim = substitutes::claim(tid, asked, size, ended);
    if claim.is_ok() {
        // Helgrind and drd would report a plain store as a race of the program.
        LOOK.swap(usize::MAX, Ordering::Relaxed);
    }
    if claim.is_err_and(|refusal| refusal == Refusal::Full) {
        told_full();
    }
    claim.ok()
}

/// Tells once that a thread has too many.
fn told_full() {
    static TOLD: AtomicU8 = AtomicU8::new(0);
    if TOLD.swap(1, Ordering::Relaxed) == 0 {
        log::warn!(
            "a thread has 1,024 stacks of ours, or all have 10,240: further ones stay as they are"
        );
    }
}

/// The stack to register instead of `asked`, if that may be done here.
pub(crate) fn serve(asked: Replaced) -> Option<Claim> {
    if ours() { make(call::gettid(), asked) } else { None }
}

/// Whether libc or the kernel refused `asked` for its size, and something can
/// be done about that.
pub(crate) fn is_refused(asked: &libc::stack_t, result: c_int) -> bool {
    let acts = matches!(remedy(), Remedy::Certain | Remedy::Fix);
    acts && result == -1
        && errno::get() == libc::ENOMEM
        && (is_disable(asked) || asked.ss_size >= LEAST)
}

/// What to register to disable the stack where libc refuses a size of 0.
pub(crate) fn with_legal_size(disable: &libc::stack_t) -> libc::stack_t {
    // The kernel ignores it.
    libc::stack_t { ss_size: 64 << 10, ..*disable }
}

/// `asked`, at another place.
pub(crate) fn at(stack: Stack, asked: &libc::stack_t) -> libc::stack_t {
    libc::stack_t { ss_sp: stack.base as *mut _, ss_size: stack.size, ..*asked }
}

/// Replaces our stack by the program's in what the kernel reported as the old
/// stack. Async-signal-safe.
pub(crate) fn translate(old: *mut libc::stack_t) {
    if old.is_null() || !substitutes::any() {
        return;
    }
    // SAFETY: the kernel has just written it.
    let mut said = unsafe { old.read_unaligned() };
    let Some(it) = substitutes::find(said.ss_sp as usize) else { return };
    let asked = it.asked();
    if said.ss_size == it.actual().size {
        (said.ss_sp, said.ss_size) = (asked.base as *mut _, asked.size);
        // SAFETY: as above.
        unsafe { old.write_unaligned(said) };
    }
}

/// What is asked at the first small stack, where nothing was prepared.
pub trait FirstLook {
    /// Whether something in the process forbids to replace stacks.
    fn is_in_the_way(&self) -> bool;
    /// Requests a notice when the calling thread ends.
    fn request_exit_notice(&self);
}

/// Does what is left to be done after libc's call on a process where nothing
/// else is to be done: looks at a small stack, and replaces it if not even one
/// frame fits on it, or if it was refused. `commit` calls libc. Returns the
/// result for the program. Async-signal-safe; uses no system calls but mmap(2),
/// mprotect(2), munmap(2) and sigaltstack(2).
#[cold]
#[inline(never)]
#[allow(clippy::not_unsafe_ptr_arg_deref, reason = "libc and the kernel have read it")]
pub fn finish(
    new: *const libc::stack_t,
    old: *mut libc::stack_t,
    result: c_int,
    first_look: &dyn FirstLook,
    commit: &dyn Fn(*const libc::stack_t, *mut libc::stack_t) -> c_int,
) -> c_int {
    if remedy() != Remedy::Certain {
        // We may have stood down after we made a stack.
        if result == 0 {
            is_over(old);
        }
        if !substitutes::any() && published_block::is_inert_for_good() {
            LOOK.swap(0, Ordering::Relaxed);
        }
        return result;
    }
    let refused = result != 0;
    if refused && errno::get() != libc::ENOMEM {
        return result;
    }
    // SAFETY: libc and the kernel have read it.
    let asked = unsafe { new.read_unaligned() };
    if refused && is_disable(&asked) {
        let legal = with_legal_size(&asked);
        let result = commit(&raw const legal, old);
        if result == 0 {
            is_over(old);
        }
        return result;
    }
    let stack = Stack::of(&asked);
    let small = !is_disable(&asked) && stack.size < certain();
    if (refused && stack.size < LEAST) || !(refused || small) || is_in_the_way(first_look) {
        if !refused {
            is_over(old);
        }
        return result;
    }
    let small = Replaced { stack, usable: stack.size, needed: certain() };
    let Some(claim) = make(0, small) else { return result };
    tell(small);
    first_look.request_exit_notice();
    let registered = at(claim.stack(), &asked);
    // The old stack was reported by the first call, unless that was refused.
    let done = commit(&raw const registered, if refused { old } else { core::ptr::null_mut() });
    let installed = done == 0 || installed(&registered);
    if !refused || done == 0 {
        translate(old);
    }
    substitutes::settle(Some(claim), installed);
    if refused { done } else { result }
}

/// The call was successful, and the kernel has what the program gave.
fn is_over(old: *mut libc::stack_t) {
    if substitutes::any() {
        substitutes::settle(None, true);
    }
    translate(old);
}

/// The size of the largest frame that can occur now. From now on only smaller
/// stacks get a look.
fn certain() -> usize {
    let certain = frame::usual();
    let look = LOOK.load(Ordering::Relaxed);
    if look != usize::MAX && look != certain {
        // Another thread may have made a stack meanwhile.
        let _ = LOOK.compare_exchange(look, certain, Ordering::Relaxed, Ordering::Relaxed);
    }
    certain
}

/// Asks once whether something forbids to replace stacks.
fn is_in_the_way(first_look: &dyn FirstLook) -> bool {
    if !substitutes::any() && first_look.is_in_the_way() {
        resume(Remedy::None);
    }
    remedy() == Remedy::None
}
