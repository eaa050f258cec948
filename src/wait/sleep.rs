//! The instructions that sleep: the one stretch of a wait in which handlers
//! run.
//!
//! All signals are blocked while a wait is awake. The stretch (`begin` up to
//! and including the last instruction before `end`) unblocks them, sleeps,
//! and blocks them again. So a handler that runs during a wait has
//! interrupted an instruction of the stretch, which is how [`super::gate`]
//! knows: it runs in front of the program's handlers, finds the wait by R12,
//! decides how it ends, and has the thread continue at `left`. That holds on
//! the edges, too: what came while signals were blocked is delivered at the
//! second instruction of the stretch that enters the kernel or before, and
//! what comes after the sleep at its last.
//!
//! The function has nothing to clean up, and its unwind table holds at every
//! instruction, so a cancellation may end the thread anywhere in the stretch.

use core::arch::naked_asm;
use core::ffi::c_int;
use core::mem::offset_of;

use super::cancel::{Disabled, Own};
use super::request::{Event, Request};
use crate::sys::call::Outcome;
use crate::sys::errno::Errno;
use crate::sys::signals::{Blocked, Mask};

/// Every signal, for the kernel: what is blocked while a wait is awake.
pub(super) static EVERY: Mask = !0;

/// How a wait ended that a handler interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was over before the handler ran: its outcome.
    Over(Outcome),
    /// By that handler: EINTR.
    Interrupted,
    /// It did not: it begins anew, as the kernel restarts it.
    Restarted,
}

/// A wait between its halves. On the waiter's stack; the gate finds it by the
/// registers that the delivery interrupted.
#[repr(C)]
pub struct Waiter<'r> {
    /// What the thread's signal mask was, while `blocked` is not 0.
    mask: Mask,
    blocked: u32,
    /// Milliseconds to nap; -1: it sleeps for the event.
    nap: c_int,
    event: Event,
    request: &'r Request,
    /// The thread's own type of cancellation.
    own: Own,
    end: End,
}

impl<'r> Waiter<'r> {
    /// A wait for `request` that begins, on a thread whose type of
    /// cancellation is to be `own` when it is over.
    #[must_use]
    pub fn new(request: &'r Request, own: Own) -> Self {
        let event = request.event();
        Waiter { mask: 0, blocked: 0, nap: -1, event, request, own, end: End::Restarted }
    }

    /// Sleeps until there is something to reap, consuming nothing, or for
    /// `nap` milliseconds. Then signals are blocked.
    ///
    /// # Errors
    /// Of the sleep: those of waitid(2) or poll(2).
    ///
    /// `Err(end)`: a handler has run, and signals are as the program has them.
    pub fn sleep(&mut self, nap: Option<c_int>) -> Result<Outcome, End> {
        self.nap = nap.unwrap_or(-1);
        // SAFETY: a live wait. The gate changes it during the call only.
        let slept = unsafe { sleep(self) };
        if slept == LEFT {
            return Err(self.end);
        }
        self.blocked = 1;
        Ok(Errno::judge(slept))
    }

    /// It is over: cancellation and signals are the program's again.
    pub(super) fn finish(self, disabled: Disabled) {
        self.own.put_back();
        disabled.put_back();
        drop(Blocked::left(self.mask));
    }

    /// In front of a handler that interrupts the sleep: what the kernel would
    /// do now. It looks for a child before it obeys a signal. All signals are
    /// blocked, so neither another handler nor a cancellation comes between.
    pub(super) fn interrupt(&mut self, restarts: bool) {
        self.own.put_back();
        // SAFETY: whoever waits has vouched for its pointers.
        self.end = match unsafe { self.request.reap_raw() } {
            Some(outcome) => End::Over(outcome),
            None if restarts => End::Restarted,
            None => End::Interrupted,
        };
    }
}

/// What [`sleep`] returns if the gate sent it to `left`. Neither call gives it.
const LEFT: isize = 0x1ef7;

/// `waitid(kind, id, NULL, options, NULL)` by INT 0x80, number 284 of the
/// 32-bit table, or `poll(NULL, 0, nap)` by SYSCALL. The first has no pointer,
/// so it does not matter that the kernel takes 32 bits of each argument; R8 to
/// R11 may be lost (entry_64_compat.S cleared them before Linux 6.7). The
/// second has three arguments, so a restart has nothing to lose.
#[unsafe(naked)]
unsafe extern "C" fn sleep(waiter: *mut Waiter<'_>) -> isize {
    naked_asm!(
        ".cfi_startproc",
        "push rbx",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbx, -16",
        "push r12",
        ".cfi_def_cfa_offset 24",
        ".cfi_offset r12, -24",
        "mov r12, rdi",
        ".hidden sigward_wait_begin, sigward_wait_end, sigward_wait_left",
        ".globl sigward_wait_begin, sigward_wait_end, sigward_wait_left",
        "sigward_wait_begin:",
        "cmp dword ptr [r12 + {blocked}], 0",
        "je 2f",
        "mov edi, {set_mask}",
        "lea rsi, [r12 + {mask}]",
        "xor edx, edx",
        "mov r10d, 8",
        "mov eax, {sigprocmask}",
        "syscall",
        "2: mov edx, dword ptr [r12 + {nap}]",
        "xor edi, edi",
        "test edx, edx",
        "jns 3f",
        "mov ebx, dword ptr [r12 + {kind}]",
        "mov ecx, dword ptr [r12 + {id}]",
        "mov esi, dword ptr [r12 + {events}]",
        "xor edx, edx",
        "mov eax, 284",
        "int 0x80",
        "jmp 4f",
        "3: xor esi, esi",
        "mov eax, {poll}",
        "syscall",
        "4: mov ebx, eax",
        "mov edi, {set_mask}",
        "lea rsi, [rip + {all}]",
        "lea rdx, [r12 + {mask}]",
        "mov r10d, 8",
        "mov eax, {sigprocmask}",
        "syscall",
        "sigward_wait_end:",
        "movsxd rax, ebx",
        "5: pop r12",
        ".cfi_def_cfa_offset 16",
        ".cfi_restore r12",
        "pop rbx",
        ".cfi_def_cfa_offset 8",
        ".cfi_restore rbx",
        "ret",
        ".cfi_def_cfa_offset 24",
        ".cfi_offset rbx, -16",
        ".cfi_offset r12, -24",
        "sigward_wait_left:",
        "mov eax, {left}",
        "jmp 5b",
        ".cfi_endproc",
        blocked = const offset_of!(Waiter<'static>, blocked),
        mask = const offset_of!(Waiter<'static>, mask),
        nap = const offset_of!(Waiter<'static>, nap),
        kind = const offset_of!(Waiter<'static>, event) + offset_of!(Event, kind),
        id = const offset_of!(Waiter<'static>, event) + offset_of!(Event, id),
        events = const offset_of!(Waiter<'static>, event) + offset_of!(Event, options),
        set_mask = const libc::SIG_SETMASK,
        sigprocmask = const libc::SYS_rt_sigprocmask,
        poll = const libc::SYS_poll,
        all = sym EVERY,
        left = const LEFT,
    )
}
