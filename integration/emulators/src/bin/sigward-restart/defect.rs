//! What the defective kernel loses, where, and what it leaves there instead.

use clap::ValueEnum;
use libc::pid_t;

use sigward_emulators::kernel::{self, Registers};

/// Registers that a restart loses.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Lost {
    /// The 4th argument.
    R10,
    /// The 4th, 5th and 6th argument, as on FreeBSD 9.
    R10R8R9,
}

/// The content of the lost registers.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Garbage {
    /// A pointer into the kernel: the call fails with an error.
    Kernel,
    /// A pointer into the program's data: the call overwrites it.
    Mapped,
    /// A small number: valid options where a call takes options.
    Small,
}

/// The emulated defect.
pub struct Defect {
    /// Registers that a restart loses.
    pub lost: Lost,
    /// Their content afterwards.
    pub garbage: Garbage,
    /// The numbers of the calls that are affected; if empty, all except [`UNAFFECTED`].
    pub calls: Vec<i64>,
    /// Lose nothing.
    pub healthy: bool,
}

/// Calls that are unaffected by default. Waits for a futex correspond to FreeBSD's
/// `_umtx_op`, which FreeBSD does not restart (and glibc aborts if one fails); fork takes
/// no arguments there.
const UNAFFECTED: [i64; 5] =
    [libc::SYS_futex, libc::SYS_clone, libc::SYS_clone3, libc::SYS_fork, libc::SYS_vfork];

/// Offset of `uc_mcontext` in the `ucontext_t` of a signal frame.
const MCONTEXT: u64 = 40;
/// Offsets in `uc_mcontext` (arch/x86/include/uapi/asm/sigcontext.h).
const R8: u64 = 0;
const R9: u64 = 8;
const R10: u64 = 16;
const RAX: u64 = 104;
const RIP: u64 = 128;

/// The argument registers that may be lost: R10, R8, R9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arguments([u64; 3]);

impl Arguments {
    /// Reads them from `registers`.
    pub fn of(registers: &Registers) -> Self {
        Self([registers.r10, registers.r8, registers.r9])
    }

    /// Writes them to `registers`.
    pub fn put(self, registers: &mut Registers) {
        [registers.r10, registers.r8, registers.r9] = self.0;
    }
}

impl Defect {
    /// Whether the call with this number can lose arguments.
    pub fn affects(&self, number: i64) -> bool {
        if self.calls.is_empty() {
            !UNAFFECTED.contains(&number)
        } else {
            self.calls.contains(&number)
        }
    }

    /// What the argument registers contain after a restart. `mapped` is an address in the
    /// program's data, `turn` varies the garbage.
    pub fn garbage(&self, arguments: Arguments, mapped: Option<u64>, turn: u64) -> Arguments {
        if self.healthy {
            return arguments;
        }
        let garbage = match (self.garbage, mapped) {
            (Garbage::Mapped, Some(address)) => address,
            // Bits of wait's options: WEXITED, WUNTRACED, WCONTINUED.
            (Garbage::Small, _) => [4, 6, 12, 2][turn as usize % 4],
            _ => 0xffff_8880_0000_0000 | (turn.wrapping_mul(0x9e37_79b9) & 0x3f_ffff_ffc0),
        };
        match self.lost {
            Lost::R10 => Arguments([garbage, arguments.0[1], arguments.0[2]]),
            Lost::R10R8R9 => Arguments([garbage; 3]),
        }
    }
}

/// The registers that the kernel saved in a signal frame.
pub struct SignalFrame {
    tid: pid_t,
    mcontext: u64,
}

impl SignalFrame {
    /// The frame of a handler that is about to execute its first instruction.
    pub fn of_handler(tid: pid_t, registers: &Registers) -> Self {
        // The third argument of every handler is the frame's ucontext.
        Self { tid, mcontext: registers.rdx.wrapping_add(MCONTEXT) }
    }

    /// Whether returning through the frame repeats call `number`, entered by the
    /// instruction before `rip`.
    pub fn restarts(&self, number: u64, rip: u64) -> bool {
        kernel::peek(self.tid, self.mcontext + RIP) == Some(rip.wrapping_sub(2))
            && kernel::peek(self.tid, self.mcontext + RAX) == Some(number)
    }

    /// Overwrites the argument registers in the frame.
    pub fn put(&self, arguments: Arguments) -> bool {
        [R10, R8, R9]
            .into_iter()
            .zip(arguments.0)
            .all(|(place, value)| kernel::poke(self.tid, self.mcontext + place, value))
    }
}
