//! The wait's stretch and the gate, and what the registers of a delivery say
//! about them. [`crate::wait`] documents their purpose; they do not name its
//! items but take them as arguments.

use core::ffi::c_int;

/// The body of the naked function in which a wait sleeps: `fn(waiter) ->
/// isize`. The arguments are the offsets of the waiter's fields, the set of all
/// signals, and the value to return after [`SignalContext::leave_stretch`].
///
/// `waitid(kind, id, NULL, options, NULL)` by INT 0x80, number 284 of the
/// 32-bit table, or `poll(NULL, 0, nap)` by SYSCALL. The first has no pointer,
/// so it does not matter that the kernel takes 32 bits of each argument; R8 to
/// R11 may be lost (entry_64_compat.S cleared them before Linux 6.7). The
/// second has three arguments, so a restart has nothing to lose.
///
/// The stretch runs from `begin` to the last instruction before `end`,
/// inclusive. R12 holds the waiter throughout.
macro_rules! sleep_stretch {
    (
        blocked = $blocked:expr,
        mask = $mask:expr,
        nap = $nap:expr,
        kind = $kind:expr,
        id = $id:expr,
        options = $options:expr,
        every = $every:path,
        left = $left:expr $(,)?
    ) => {
        core::arch::naked_asm!(
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
            "mov eax, {waitid}",
            "int 0x80",
            "jmp 4f",
            "3: xor esi, esi",
            "mov eax, {poll}",
            "syscall",
            "4: mov ebx, eax",
            "mov edi, {set_mask}",
            "lea rsi, [rip + {every}]",
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
            blocked = const $blocked,
            mask = const $mask,
            nap = const $nap,
            kind = const $kind,
            id = const $id,
            events = const $options,
            waitid = const $crate::arch::INT80_WAITID,
            set_mask = const libc::SIG_SETMASK,
            sigprocmask = const libc::SYS_rt_sigprocmask,
            poll = const libc::SYS_poll,
            every = sym $every,
            left = const $left,
        )
    };
}
pub(crate) use sleep_stretch;

/// The body of `$gate`, the naked function in front of the program's handlers.
/// The kernel calls it with a handler's three arguments. The other gate is its
/// second entry, which adds `$row` to the signal.
///
/// If the delivery interrupts a wait's stretch, or a gate that has not blocked
/// signals yet, it makes sure of `$room` bytes of stack, blocks `$every`
/// signal, and calls `$interrupt(place, context)`. Then it jumps to the handler
/// at `place` of `$handlers`, without its highest bit.
///
/// R8 holds the place, R9 the second argument.
macro_rules! gate {
    (
        gate = $gate:path,
        row = $row:expr,
        room = $room:expr,
        every = $every:path,
        interrupt = $interrupt:path,
        handlers = $handlers:path $(,)?
    ) => {
        core::arch::naked_asm!(
            ".cfi_startproc",
            "endbr64",
            "xor eax, eax",
            "jmp sigward_wait_gate_both",
            ".hidden sigward_wait_gate_other, sigward_wait_gate_both",
            ".globl sigward_wait_gate_other, sigward_wait_gate_both",
            "sigward_wait_gate_other:",
            "endbr64",
            "mov eax, {row}",
            "sigward_wait_gate_both:",
            "or eax, edi",
            "mov r8d, eax",
            "lea rcx, [rsp + 8]",
            "cmp rdx, rcx",
            "jne 5f",
            "mov r9, rsi",
            ".hidden sigward_wait_gate_known, sigward_wait_gate_blocked",
            ".globl sigward_wait_gate_known, sigward_wait_gate_blocked",
            "sigward_wait_gate_known:",
            // Did the delivery interrupt a wait or a gate?
            "mov rax, [rdx + {rip}]",
            "lea rcx, [rip + sigward_wait_begin]",
            "cmp rax, rcx",
            "jb 3f",
            "lea rcx, [rip + sigward_wait_end]",
            "cmp rax, rcx",
            "jb 4f",
            "3: lea rcx, [rip + {gate}]",
            "cmp rax, rcx",
            "jb 5f",
            "lea rcx, [rip + sigward_wait_gate_blocked]",
            "cmp rax, rcx",
            "jae 5f",
            // Prove the stack for what follows, while a fault can still be
            // handled.
            "4: lock or dword ptr [rsp - {room}], 0",
            "mov edi, {set_mask}",
            "lea rsi, [rip + {every}]",
            "lea rdx, [rsp - 24]",
            "mov r10d, 8",
            "mov eax, {sigprocmask}",
            "syscall",
            "sigward_wait_gate_blocked:",
            "push r9",
            ".cfi_adjust_cfa_offset 8",
            "push r8",
            ".cfi_adjust_cfa_offset 8",
            // The old mask.
            "sub rsp, 8",
            ".cfi_adjust_cfa_offset 8",
            "mov edi, r8d",
            "lea rsi, [rsp + 32]",
            "call {interrupt}",
            "mov edi, {set_mask}",
            "mov rsi, rsp",
            "xor edx, edx",
            "mov r10d, 8",
            "mov eax, {sigprocmask}",
            "syscall",
            "add rsp, 8",
            ".cfi_adjust_cfa_offset -8",
            "pop r8",
            ".cfi_adjust_cfa_offset -8",
            "pop rsi",
            ".cfi_adjust_cfa_offset -8",
            "lea rdx, [rsp + 8]",
            "mov edi, r8d",
            "and edi, {row} - 1",
            // Jump to the program's handler.
            "5: mov eax, r8d",
            "lea rcx, [rip + {handlers}]",
            "mov rcx, [rcx + rax * 8]",
            "btr rcx, 63",
            "xor eax, eax",
            "jmp rcx",
            ".cfi_endproc",
            row = const $row,
            rip = const core::mem::offset_of!(libc::ucontext_t, uc_mcontext)
                + libc::REG_RIP as usize * 8,
            gate = sym $gate,
            room = const $room,
            set_mask = const libc::SIG_SETMASK,
            sigprocmask = const libc::SYS_rt_sigprocmask,
            every = sym $every,
            interrupt = sym $interrupt,
            handlers = sym $handlers,
        )
    };
}
pub(crate) use gate;

/// Labels in the code.
macro_rules! labels {
    ($($name:ident)*) => {
        unsafe extern "C" { $(fn $name();)* }
    };
}

labels! {
    sigward_wait_begin sigward_wait_end sigward_wait_left sigward_wait_gate_other
    sigward_wait_gate_both sigward_wait_gate_known sigward_wait_gate_blocked
}

/// The address of a label.
fn at(label: unsafe extern "C" fn()) -> usize {
    label as *const () as usize
}

/// The address of the second gate.
pub fn other_gate() -> usize {
    at(sigward_wait_gate_other)
}

/// The registers that a delivery has interrupted, to which the thread will
/// return.
pub struct SignalContext<'c>(&'c mut [i64; 23]);

/// A gate that was interrupted before it blocked signals.
pub struct UnblockedGate {
    /// The place of its handler.
    pub place: usize,
    /// The context of its own delivery.
    pub context: *mut libc::ucontext_t,
}

impl SignalContext<'_> {
    /// The registers that the delivery with `context` interrupted.
    ///
    /// # Safety
    /// That delivery is under way on this thread.
    #[inline]
    pub unsafe fn by(context: *mut libc::ucontext_t) -> Self {
        // SAFETY: the caller's contract.
        SignalContext(unsafe { &mut (*context).uc_mcontext.gregs })
    }

    #[inline]
    fn get(&self, which: c_int) -> usize {
        self.0.get(which as usize).map_or(0, |&value| value as usize)
    }

    /// The waiter, if the stretch in which it sleeps was interrupted.
    #[inline]
    pub fn sleeper(&self) -> Option<*mut ()> {
        let stretch = at(sigward_wait_begin)..at(sigward_wait_end);
        stretch.contains(&self.get(libc::REG_RIP)).then(|| self.get(libc::REG_R12) as *mut ())
    }

    /// Makes the thread return from the stretch at once.
    #[inline]
    pub fn leave_stretch(&mut self) {
        if let Some(rip) = self.0.get_mut(libc::REG_RIP as usize) {
            *rip = at(sigward_wait_left) as i64;
        }
    }

    /// The interrupted gate, if it had not blocked signals yet and was entered
    /// by a delivery. `first` is the address of the gate's function, `row` its
    /// argument `$row`.
    #[inline]
    pub fn unblocked_gate(&self, first: usize, row: usize) -> Option<UnblockedGate> {
        let rip = self.get(libc::REG_RIP);
        if !(first..at(sigward_wait_gate_blocked)).contains(&rip) {
            return None;
        }
        let next = self.get(libc::REG_RSP).wrapping_add(8);
        let known = rip >= at(sigward_wait_gate_known);
        if !known && self.get(libc::REG_RDX) != next {
            return None;
        }
        let signal = self.get(libc::REG_RDI) as u32 as usize;
        let place = if known {
            self.get(libc::REG_R8)
        } else if rip >= at(sigward_wait_gate_both) {
            self.get(libc::REG_RAX) | signal
        } else if rip >= at(sigward_wait_gate_other) {
            row | signal
        } else {
            signal
        };
        Some(UnblockedGate { place, context: next as *mut libc::ucontext_t })
    }
}
