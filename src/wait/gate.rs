//! The generation counter of deliveries: no EINTR is lost between the halves.
//!
//! A wait that sleeps in pieces must give EINTR when a handler without
//! `SA_RESTART` runs while it is awake between two of them. The kernel does
//! not tell, and no call unblocks signals and waits for a child in one step.
//! So, while a strategy is in force, such handlers are installed behind
//! [`sigward_wait_gate`]: it counts the delivery for this thread, looks
//! whether the thread was on the edge of sleeping (see [`super::sleep`]), and
//! jumps on to the program's handler, which sees registers, stack and return
//! address as the kernel made them.
//!
//! The counters are found by the thread pointer, which costs no system call
//! and no storage of the thread's. Threads that share one (1 in 1,024) may
//! see an EINTR too many when three things coincide, never one too few.

use core::arch::naked_asm;
use core::ffi::c_int;
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

use crate::sys::{call, page, signals, startup};

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
/// all three are passed whatever `SA_SIGINFO` says.
#[unsafe(naked)]
unsafe extern "C" fn sigward_wait_gate(
    signal: c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::ucontext_t,
) {
    naked_asm!(
        ".cfi_startproc",
        "endbr64",
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
    OWNER.load(Ordering::Relaxed) != 0
}

fn is_real(handler: usize) -> bool {
    handler != libc::SIG_DFL && handler != libc::SIG_IGN && handler != address()
}

/// sigaction(2) by `commit`, which gets what is to be installed: a handler
/// without `SA_RESTART` goes behind the gate. The program is told of its own
/// handlers only. Async-signal-safe.
///
/// # Safety
/// If `commit` succeeds, it has written `old`, unless that is null.
pub unsafe fn action(
    signal: c_int,
    new: *const libc::sigaction,
    old: *mut libc::sigaction,
    commit: impl FnOnce(*const libc::sigaction) -> c_int,
) -> c_int {
    let place = usize::try_from(signal).ok().and_then(|signal| HANDLERS.get(signal));
    let Some(place) = place.filter(|_| is_raised()) else { return commit(new) };
    let before = place.load(Ordering::Relaxed);
    let mut behind_gate: libc::sigaction;
    let mut installed = new;
    if let Some(asked) = signals::read(new) {
        behind_gate = asked;
        let handler = behind_gate.sa_sigaction;
        let restarts = behind_gate.sa_flags & libc::SA_RESTART != 0;
        // A vfork child's handlers are its own, but this table is its parent's.
        let wanted = super::strategy() != super::Strategy::Off;
        if wanted && is_real(handler) && !restarts && !in_vfork_child() {
            place.store(handler, Ordering::Relaxed);
            behind_gate.sa_sigaction = address();
            installed = &raw const behind_gate;
        }
    }
    let result = commit(installed);
    if result != 0 {
        place.store(before, Ordering::Relaxed);
    } else if !old.is_null() {
        // SAFETY: the caller's promise.
        let told = unsafe { &mut (*old).sa_sigaction };
        if *told == address() {
            *told = before;
        }
    }
    result
}

/// The process whose handlers the table holds.
static OWNER: AtomicI32 = AtomicI32::new(0);

/// Address of a page that holds 1, and 0 in a forked child; 0: we have none.
static MARK: AtomicUsize = AtomicUsize::new(0);

/// Sets the gate up for this process; at load.
pub(super) fn raise() {
    OWNER.store(call::getpid(), Ordering::Relaxed);
    if let Ok(page) = call::map_memory(page::SIZE)
        && call::wipe_on_fork(page, page::SIZE, true).is_ok()
    {
        mark(page).store(1, Ordering::Relaxed);
        MARK.store(page, Ordering::Relaxed);
    }
}

fn mark(page: usize) -> &'static AtomicU32 {
    // SAFETY: a mapping of ours that stays.
    unsafe { &*(page as *const AtomicU32) }
}

/// Whether the memory belongs to another process than the one that runs. A
/// forked child has a copy of the table, with the mark wiped out; a vfork
/// child sees its parent's. Without the mark: in doubt, yes.
pub(super) fn in_vfork_child() -> bool {
    let own = call::getpid();
    if OWNER.load(Ordering::Relaxed) == own {
        return false;
    }
    match MARK.load(Ordering::Relaxed) {
        0 => true,
        page if mark(page).load(Ordering::Relaxed) != 0 => true,
        page => {
            mark(page).store(1, Ordering::Relaxed);
            OWNER.store(own, Ordering::Relaxed);
            false
        }
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
        signals::disposition(signal).is_ok_and(|(handler, flags)| {
            handler != libc::SIG_DFL
                && handler != libc::SIG_IGN
                && handler != address()
                && flags & libc::SA_RESTART as usize == 0
        })
    })
}
