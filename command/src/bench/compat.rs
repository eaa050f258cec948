//! The ways in that only a 32-bit program has.
//!
//! The program is assembled into this command, a whole ELF file of some 300
//! bytes: no 32-bit compiler or libc is needed. It is run from a memfd, and
//! tells its times on a pipe.

use std::arch::global_asm;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::Signal;

use super::entry::{Effort, Rounds, clock_in, death};

/// Where the kernel loads the program.
const BASE: u32 = 0x0804_8000;
/// Lengths of the two headers, behind which the parameters lie.
const HEADERS: u32 = 52 + 32;
/// Exit code of the program if the kernel gave it no vDSO.
const NO_VDSO: i32 = 2;

global_asm!(
    ".pushsection .rodata.sigward_compat, \"a\"",
    ".hidden sigward_compat",
    ".globl sigward_compat",
    ".hidden sigward_compat_end",
    ".globl sigward_compat_end",
    ".code32",
    "sigward_compat:",
    // Elf32_Ehdr
    ".byte 0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0",
    ".short 2, 3", // ET_EXEC, EM_386
    ".long 1, {base} + 20f - sigward_compat, 52, 0, 0",
    ".short 52, 32, 1, 0, 0, 0",
    // Elf32_Phdr: one segment, read and execute
    ".long 1, 0, {base}, {base}",
    ".long sigward_compat_end - sigward_compat, sigward_compat_end - sigward_compat, 5, 4096",
    // Parameters: rounds (0: write the vDSO to stdout), calls a round, and the
    // offset in the vDSO to call (0: call sysenter)
    ".long 0, 0, 0",
    ".long {base} + 90f - sigward_compat",
    // Find the vDSO: skip argc, argv and the environment, search AT_SYSINFO_EHDR.
    "20: cld",
    "mov esi, esp",
    "lodsd",
    "21: lodsd",
    "test eax, eax",
    "jnz 21b",
    "22: lodsd",
    "test eax, eax",
    "jnz 22b",
    "23: lodsd",
    "mov ebx, eax",
    "lodsd",
    "cmp ebx, 33",
    "je 30f",
    "test ebx, ebx",
    "jnz 23b",
    "mov ebx, {no_vdso}",
    "jmp 80f",
    "30: mov ebp, dword ptr [{base} + {headers}]",
    "test ebp, ebp",
    "jnz 40f",
    // write(1, vDSO, two pages); less if it is shorter
    "mov ecx, eax",
    "mov eax, 4",
    "mov ebx, 1",
    "mov edx, 8192",
    "int 0x80",
    "jmp 79f",
    // ESI = what to call
    "40: mov esi, dword ptr [{base} + {headers} + 8]",
    "add eax, esi",
    "test esi, esi",
    "mov esi, eax",
    "jnz 41f",
    "mov esi, dword ptr [{base} + {headers} + 12]",
    // Start and end of a round at [esp] and [esp+8], what the vDSO writes at [esp+16]
    "41: sub esp, 32",
    "50: mov ecx, esp",
    "call 85f",
    "mov edi, dword ptr [{base} + {headers} + 4]",
    "60: lea eax, [esp + 16]",
    "push eax",
    "push 1",
    "mov eax, 64", // getppid, for sysenter
    "call esi",
    "add esp, 8",
    "dec edi",
    "jnz 60b",
    "lea ecx, [esp + 8]",
    "call 85f",
    // write(1, both, 16)
    "mov eax, 4",
    "mov ebx, 1",
    "mov ecx, esp",
    "mov edx, 16",
    "int 0x80",
    "dec ebp",
    "jnz 50b",
    "79: xor ebx, ebx",
    "80: mov eax, 1", // exit
    "int 0x80",
    // clock_gettime(CLOCK_MONOTONIC, ECX), by the way in that always works
    "85: mov eax, 265",
    "mov ebx, 1",
    "int 0x80",
    "ret",
    // The kernel returns to the vDSO, which pops what is pushed here and returns.
    "90: push ecx",
    "push edx",
    "push ebp",
    "mov ebp, esp",
    "sysenter",
    "ud2",
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
    let output = run(effort, offset)?;
    let words: Vec<f64> = output
        .chunks_exact(4)
        .map(|word| f64::from(u32::from_le_bytes(word.try_into().unwrap_or_default())))
        .collect();
    let rounds = words.chunks_exact(4).filter_map(|round| match *round {
        [s, ns, end_s, end_ns] => Some(((end_s - s) * 1e9 + end_ns - ns) / f64::from(effort.calls)),
        _ => None,
    });
    let rounds: Vec<f64> = rounds.collect();
    if rounds.is_empty() { Err("the 32-bit child told no times".to_owned()) } else { Ok(rounds) }
}

/// What the program with these parameters writes.
fn run(effort: Effort, offset: u32) -> Result<Vec<u8>, String> {
    let cannot = |error: &dyn std::fmt::Display| format!("no 32-bit child can be run: {error}");
    // Kernels before 6.3 do not know MFD_EXEC; later ones may be set to want it.
    let memfd = |more| memfd_create(c"sigward-compat", MFdFlags::MFD_CLOEXEC | more);
    let memory =
        memfd(MFdFlags::from_bits_retain(libc::MFD_EXEC)).or_else(|_| memfd(MFdFlags::empty()));
    let memory = memory.map_err(|error| cannot(&error))?;
    let mut file = File::from(memory);
    file.write_all(&program(effort, offset)).map_err(|error| cannot(&error))?;

    let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
    command.env_clear().stdin(Stdio::null()).stderr(Stdio::null());
    // SAFETY: alarm is async-signal-safe. It stays set over the exec.
    unsafe {
        command.pre_exec(|| {
            libc::alarm(60);
            Ok(())
        });
    }
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
