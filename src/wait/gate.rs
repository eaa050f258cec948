//! The generation counter of deliveries: no EINTR is lost between the halves.
//!
//! A wait that sleeps in pieces must give EINTR when a handler without
//! `SA_RESTART` runs while it is awake between two of them. The kernel does
//! not tell, and no call unblocks signals and waits for a child in one step.
//! So, while a strategy is in force, such handlers are installed behind
//! `sigward_wait_gate`: it counts the delivery for this thread, looks
//! whether the thread was on the edge of sleeping (see [`super::sleep`]), and
//! jumps on to the program's handler, which sees registers, stack and return
//! address as the kernel made them.
//!
//! The counters are found by the thread pointer, which costs no system call
//! and no storage of the thread's. Threads that share one (1 in 1,024) may
//! see an EINTR too many when three things coincide, never one too few.

use core::arch::naked_asm;
use core::ffi::c_int;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::sys::owner::Owner;
use crate::sys::signals::{self, Blocked};
use crate::sys::startup;

/// Signals of Linux are 1 to 64.
const SIGNALS: usize = 65;
/// A power of two.
const COUNTERS: usize = 1024;

static GENERATIONS: [AtomicU32; COUNTERS] = [const { AtomicU32::new(0) }; COUNTERS];

/// The program's handlers that are installed behind the gate.
static HANDLERS: [AtomicUsize; SIGNALS] = [const { AtomicUsize::new(0) }; SIGNALS];

/// The calling thread's counter. Async-signal-safe.
#[must_use]
pub fn generation() -> &'static AtomicU32 {
    static NONE: AtomicU32 = AtomicU32::new(0);
    let which = (startup::thread_pointer() >> 12) & (COUNTERS - 1);
    GENERATIONS.get(which).unwrap_or(&NONE)
}

/// What the kernel calls in place of a handler. Arguments as any handler's;
/// all three are passed whatever `SA_SIGINFO` says. The third is then at the
/// frame's beginning, behind the return address. Where it is not, this is no
/// delivery: the program calls a handler that it read past our hooks.
#[unsafe(naked)]
unsafe extern "C" fn sigward_wait_gate(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::ucontext_t,
) {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
        "lea rcx, [rsp + 8]",
        "cmp rdx, rcx",
        "jne 3f",
        // Count.
        "mov rax, fs:[0]",
        "shr rax, 12",
        "and eax, {mask}",
        "lea rcx, [rip + {generations}]",
        "lock inc dword ptr [rcx + rax * 4]",
        // On the edge of sleeping? Then it is not to sleep.
        "mov rax, [rdx + {rip}]",
        "lea rcx, [rip + sigward_wait_int80_begin]",
        "cmp rax, rcx",
        "jb 4f",
        "lea rcx, [rip + sigward_wait_int80_end]",
        "cmp rax, rcx",
        "lea rcx, [rip + sigward_wait_int80_interrupted]",
        "jb 2f",
        "4: lea rcx, [rip + sigward_wait_nap_begin]",
        "cmp rax, rcx",
        "jb 3f",
        "lea rcx, [rip + sigward_wait_nap_end]",
        "cmp rax, rcx",
        "lea rcx, [rip + sigward_wait_nap_interrupted]",
        "jae 3f",
        "2: mov [rdx + {rip}], rcx",
        // On to the program's handler.
        "3: mov eax, edi",
        "lea rcx, [rip + {handlers}]",
        "mov rcx, [rcx + rax * 8]",
        "xor eax, eax",
        "jmp rcx",
        ".cfi_endproc",
        mask = const COUNTERS - 1,
        generations = sym GENERATIONS,
        handlers = sym HANDLERS,
        rip = const core::mem::offset_of!(libc::ucontext_t, uc_mcontext)
            + libc::REG_RIP as usize * 8,
    )
}

/// The gate's address, as a handler.
fn address() -> usize {
    sigward_wait_gate as *const () as usize
}

/// Whether handlers were ever installed behind the gate. They stay there when
/// the strategy is given up.
fn is_raised() -> bool {
    OWNER.pid() != 0
}

fn is_real(handler: usize) -> bool {
    handler != libc::SIG_DFL && handler != libc::SIG_IGN && handler != address()
}

/// Where the handler of `signal` is remembered, if that can be behind the gate.
fn place(signal: c_int) -> Option<&'static AtomicUsize> {
    let place = usize::try_from(signal).ok().and_then(|signal| HANDLERS.get(signal));
    place.filter(|_| is_raised() && !PRIVATE.contains(&signal))
}

/// What is to be installed where the program wants `handler`: the gate, which
/// then remembers it in `place`, if it is one without `SA_RESTART`. If the
/// program has got hold of the gate, it means the handler behind it.
///
/// Called with all signals blocked: until the kernel knows of the new action,
/// the gate would lead the old one's deliveries to the new handler.
#[inline(never)]
fn stand_in(place: &AtomicUsize, handler: usize, restarts: bool) -> usize {
    let handler = own(handler, place.load(Ordering::Relaxed));
    // A vfork child's handlers are its own, but this table is its parent's.
    let wanted = super::strategy() != super::Strategy::Off;
    if wanted && is_real(handler) && !restarts && !in_vfork_child() {
        place.store(handler, Ordering::Relaxed);
        address()
    } else {
        handler
    }
}

/// The program's handler where `installed` is, which was `behind` the gate.
fn own(installed: usize, behind: usize) -> usize {
    if installed == address() { behind } else { installed }
}

/// sigaction(2) by `commit`, which gets what is to be installed, and where the
/// old action goes: a handler without `SA_RESTART` goes behind the gate. The
/// program is told of its own handlers only. Async-signal-safe.
///
/// # Safety
/// If `commit` succeeds, it has written the old action, unless that is null.
#[inline(never)]
pub unsafe fn action(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
    commit: &dyn Fn(*const libc::sigaction, *mut libc::sigaction) -> c_int,
) -> c_int {
    let Some(place) = place(signal) else { return commit(new, old) };
    let mut installed = signals::read(new);
    let mut told = signals::read(old);
    // Where libc is going to fault, that must not be with signals blocked.
    let safe = (told.is_some() || old.is_null()) && installed.is_some();
    let blocked = safe.then(Blocked::over_sigaction);
    let before = place.load(Ordering::Relaxed);
    if let Some(action) = &mut installed {
        let restarts = action.sa_flags & libc::SA_RESTART != 0;
        action.sa_sigaction = stand_in(place, action.sa_sigaction, restarts);
    }
    let result = commit(
        installed.as_ref().map_or(new, core::ptr::from_ref),
        told.as_mut().map_or(old, core::ptr::from_mut),
    );
    if result != 0 {
        place.store(before, Ordering::Relaxed);
        return result;
    }
    drop(blocked);
    if let Some(told) = told {
        // SAFETY: where libc would have written, at any alignment.
        unsafe { old.write_unaligned(told) };
    }
    // SAFETY: the old action was written, here or by `commit`, where we could
    // not read before: a handler may have opened the page. The handler is first.
    unsafe { tell(old.cast(), before) };
    result
}

/// Has the old handler at `old`, if not null, be the program's own.
///
/// # Safety
/// It has just been written, at any alignment.
unsafe fn tell(old: *mut usize, behind: usize) {
    if !old.is_null() {
        // SAFETY: the caller's promise.
        unsafe { old.write_unaligned(own(old.read_unaligned(), behind)) };
    }
}

/// Any other way to change the action of `signal`: `change` gives the old
/// handler, in its result or at `old`, or -1 where it fails. What it installed
/// is then put behind the gate, or taken out, as sigaction(2) would have done.
/// Async-signal-safe.
///
/// Signals are not blocked during `change`: sigset(3) asks for the mask.
///
/// # Safety
/// If `change` succeeds, it has written `old`, unless that is null.
#[inline(never)]
pub unsafe fn around(signal: c_int, old: *mut usize, change: &dyn Fn() -> isize) -> isize {
    let Some(place) = place(signal) else { return change() };
    let before = place.load(Ordering::Relaxed);
    let result = change();
    if result == -1 {
        return result;
    }
    settle(signal, place);
    // SAFETY: the caller's promise.
    unsafe { tell(old, before) };
    own(result as usize, before) as isize
}

fn settle(signal: c_int, place: &AtomicUsize) {
    let _blocked = Blocked::all();
    let Ok(mut now) = signals::disposition(signal) else { return };
    let found = now.handler;
    now.handler = stand_in(place, found, now.flags & libc::SA_RESTART as usize != 0);
    if now.handler != found {
        // SAFETY: the program's own handler, or the gate that leads to it.
        let _ = unsafe { signals::dispose(signal, &now) };
    }
}

/// The process whose handlers the table holds.
static OWNER: Owner = Owner::nobody();

/// Sets the gate up for this process; at load.
pub(super) fn raise() {
    OWNER.claim();
}

/// Whether the table is another process's, as a vfork child sees its parent's.
/// A forked child has a copy, which becomes its own here. Where that cannot be
/// told: in doubt, yes.
pub(super) fn in_vfork_child() -> bool {
    in_child();
    !OWNER.is_us()
}

/// Has a forked child own its copy of the table; best before it can vfork.
pub fn in_child() {
    if OWNER.is_copied() {
        OWNER.claim();
    }
}

/// Signals that C libraries keep for themselves (cancellation, setuid in all
/// threads, timers); they hide what their handlers interrupt.
const PRIVATE: core::ops::RangeInclusive<c_int> = 32..=33;

/// Whether some handler without `SA_RESTART` is installed that does not stand
/// behind the gate: by a raw system call, say. Asks the kernel, 62 times.
#[must_use]
pub fn bypassed() -> bool {
    (1..SIGNALS as c_int).filter(|signal| !PRIVATE.contains(signal)).any(|signal| {
        signals::disposition(signal).is_ok_and(|action| {
            is_real(action.handler) && action.flags & libc::SA_RESTART as usize == 0
        })
    })
}
