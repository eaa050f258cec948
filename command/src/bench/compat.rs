//! The ways into the kernel that only a 32-bit program has.
//!
//! The program, an ELF file of some 300 bytes, is assembled into this command: no 32-bit
//! compiler or libc is needed. It runs from a memfd and writes its times to a pipe.

use std::arch::global_asm;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

use super::entry::{Effort, Rounds, clock_in, death};

/// Where the kernel loads the program.
const BASE: u32 = 0x0804_8000;
/// Length of the two headers. The parameters follow them.
const HEADERS: u32 = 52 + 32;
/// Exit code of the program if the kernel gives it no vDSO.
const NO_VDSO: i32 = 2;

global_asm!(
    ".pushsection .rodata.sigward_compat, \"a\"",
    ".hidden sigward_compat",
    ".globl sigward_compat",
    ".hidden sigward_compat_end",
    ".globl sigward_compat_end",
    ".code32",
    "sigward_compat:",
    // Elf32_Ehdr: ET_EXEC, EM_386
    ".byte 0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0",
    ".short 2, 3; .long 1, {base} + 20f - sigward_compat, 52, 0, 0; .short 52, 32, 1, 0, 0, 0",
    // Elf32_Phdr: one segment, read and execute
    ".long 1, 0, {base}, {base}",
    ".long sigward_compat_end - sigward_compat, sigward_compat_end - sigward_compat, 5, 4096",
    // Parameters: rounds (0: write the vDSO to stdout), calls per round, and the offset
    // in the vDSO to call (0: call sysenter, whose address is the fourth parameter)
    ".long 0, 0, 0, {base} + 90f - sigward_compat",
    // alarm(60): it kills itself
    "20: mov eax, 27; mov ebx, 60; int 0x80",
    // Find the vDSO: skip argc, argv and the environment, search AT_SYSINFO_EHDR.
    "cld; mov esi, esp; lodsd",
    "21: lodsd; test eax, eax; jnz 21b",
    "22: lodsd; test eax, eax; jnz 22b",
    "23: lodsd; mov ebx, eax; lodsd; cmp ebx, 33; je 30f; test ebx, ebx; jnz 23b",
    "mov ebx, {no_vdso}; jmp 80f",
    "30: mov ebp, dword ptr [{base} + {headers}]; test ebp, ebp; jnz 40f",
    // write(1, vDSO, two pages); fewer bytes if it is shorter
    "mov ecx, eax; mov eax, 4; mov ebx, 1; mov edx, 8192; int 0x80; jmp 79f",
    // ESI = what to call
    "40: mov esi, dword ptr [{base} + {headers} + 8]",
    "add eax, esi; test esi, esi; mov esi, eax; jnz 41f",
    "mov esi, dword ptr [{base} + {headers} + 12]",
    // Start and end of a round are at [esp] and [esp+8]; the vDSO writes to [esp+16]
    "41: sub esp, 32",
    "50: mov ecx, esp; call 85f; mov edi, dword ptr [{base} + {headers} + 4]",
    // ESI(CLOCK_MONOTONIC, address); getppid for sysenter
    "60: lea eax, [esp + 16]; push eax; push 1; mov eax, 64; call esi; add esp, 8",
    "dec edi; jnz 60b",
    "lea ecx, [esp + 8]; call 85f",
    // write(1, both, 16)
    "mov eax, 4; mov ebx, 1; mov ecx, esp; mov edx, 16; int 0x80; dec ebp; jnz 50b",
    // exit
    "79: xor ebx, ebx",
    "80: mov eax, 1; int 0x80",
    // clock_gettime(CLOCK_MONOTONIC, ECX), by int 0x80, which always works
    "85: mov eax, 265; mov ebx, 1; int 0x80; ret",
    // The kernel returns into the vDSO, which pops what is pushed here and returns.
    "90: push ecx; push edx; push ebp; mov ebp, esp; sysenter; ud2",
    "sigward_compat_end:",
    ".code64",
    ".popsection",
    base = const BASE,
    headers = const HEADERS,
    no_vdso = const NO_VDSO,
);

unsafe extern "C" {
    #[link_name = "sigward_compat"]
    static START: u8;
    #[link_name = "sigward_compat_end"]
    static END: u8;
}

pub fn by_sysenter(effort: Effort) -> Rounds {
    times(effort, 0)
}

pub fn by_vdso(effort: Effort) -> Rounds {
    let image = run(Effort { rounds: 0, calls: 0 }, 0)?;
    let offset = clock_in(&image)? as u32;
    times(effort, offset)
}

/// Nanoseconds per call of each round that the program timed.
fn times(effort: Effort, offset: u32) -> Rounds {
    let rounds = run(effort, offset)?;
    let nanoseconds = |time: &[u8]| {
        let word = |at| time.get(at..at + 4).and_then(|word| word.try_into().ok());
        let word = |at| f64::from(u32::from_le_bytes(word(at).unwrap_or_default()));
        word(0) * 1e9 + word(4)
    };
    let rounds = rounds.chunks_exact(16).map(|round| {
        let (start, end) = round.split_at(8);
        (nanoseconds(end) - nanoseconds(start)) / f64::from(effort.calls)
    });
    Ok(rounds.collect())
}

/// Runs the program with these parameters and returns what it writes.
fn run(effort: Effort, offset: u32) -> Result<Vec<u8>, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("cannot run a 32-bit child: {error}");
    // Kernels before 6.3 do not know MFD_EXEC; later ones may be configured to require
    // it.
    let memfd = |more| memfd_create(c"sigward-compat", MFdFlags::MFD_CLOEXEC | more);
    let memory = memfd(MFdFlags::from_bits_retain(libc::MFD_EXEC));
    let memory = memory.or_else(|_| memfd(MFdFlags::empty())).map_err(|error| cannot(&error))?;
    let mut file = File::from(memory);
    file.write_all(&program(effort, offset)).map_err(|error| cannot(&error))?;

    let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().map_err(|error| match error.raw_os_error() {
        Some(libc::ENOEXEC) => "this kernel runs no 32-bit programs".to_owned(),
        _ => cannot(&error),
    })?;
    match (output.status.code(), output.status.signal().map(Signal::try_from)) {
        (Some(0), _) => Ok(output.stdout),
        (Some(NO_VDSO), _) => Err("the kernel maps no 32-bit vDSO".to_owned()),
        (_, Some(Ok(signal))) => Err(death(signal)),
        _ => Err(cannot(&output.status)),
    }
}

fn program(effort: Effort, offset: u32) -> Vec<u8> {
    // SAFETY: both are labels of one block of read-only data, in this order.
    let image = unsafe {
        let length = (&raw const END).offset_from_unsigned(&raw const START);
        std::slice::from_raw_parts(&raw const START, length)
    };
    let mut image = image.to_vec();
    let parameters = [effort.rounds, effort.calls, offset].map(u32::to_le_bytes).concat();
    let start = HEADERS as usize;
    image.splice(start..start + parameters.len(), parameters);
    image
}
