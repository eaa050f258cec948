//! A 32-bit child, which has ways into the kernel of its own.
//!
//! Its program, an ELF file of some 300 bytes, is assembled into this command: no 32-bit
//! compiler or libc is needed. It runs from a memfd.

use std::arch::global_asm;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::process::Command;

use nix::sys::memfd::{MFdFlags, memfd_create};
use object::{Object, ObjectSymbol};

use super::child::{self, Effort, NO_VDSO, Outcome};

/// Length of the ELF file.
const LENGTH: usize = 512;
/// Where the kernel loads it.
const BASE: u32 = 0x0804_8000;
/// Offset of the parameters in it, behind its headers.
const PARAMETERS: u32 = 52 + 32;

global_asm!(
    ".pushsection .rodata.sigward_child32, \"a\"",
    ".globl sigward_child32",
    ".code32",
    "sigward_child32:",
    // Elf32_Ehdr: ET_EXEC, EM_386
    ".byte 0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0",
    ".short 2, 3; .long 1, {base} + .Lstart - sigward_child32, 52, 0, 0; .short 52, 32, 1, 0, 0, 0",
    // Elf32_Phdr: one segment, read and execute
    ".long 1, 0, {base}, {base}, {length}, {length}, 5, 4096",
    // Parameters: rounds (0: write the vDSO to stdout), calls per round, and the offset
    // in the vDSO to call (0: call sysenter); then nanoseconds in a second
    ".long 0, 0, 0, 1000000000",
    // Find the vDSO: AT_SYSINFO_EHDR, behind argc, argv and the environment.
    ".Lstart: cld; mov esi, esp",
    "2: lodsd; test eax, eax; jnz 2b",
    "3: lodsd; test eax, eax; jnz 3b",
    "4: lodsd; mov ebx, eax; lodsd; cmp ebx, 33; je 5f; test ebx, ebx; jnz 4b",
    "mov ebx, {no_vdso}; jmp .Lexit",
    // write(1, vDSO, two pages); fewer bytes if it is shorter
    "5: mov ebp, dword ptr [{rounds}]; test ebp, ebp; jnz 6f",
    "mov ecx, eax; mov eax, 4; mov ebx, 1; mov edx, 8192; int 0x80; jmp .Ldone",
    // ESI = what to call. The kernel returns from a sysenter into the vDSO, which pops
    // what is pushed here and returns.
    "6: mov esi, dword ptr [{offset}]; add esi, eax; cmp esi, eax; jne 8f",
    "call 7f; push ecx; push edx; push ebp; mov ebp, esp; sysenter; ud2; 7: pop esi",
    // A round starts at [esp] and ends at [esp+8]; the vDSO writes to [esp+16].
    "8: sub esp, 32",
    ".Lround: mov ecx, esp; call .Lclock; mov edi, dword ptr [{calls}]",
    // ESI(CLOCK_MONOTONIC, address); getppid for sysenter
    ".Lcall: lea eax, [esp + 16]; push eax; push 1; mov eax, 64; call esi; add esp, 8",
    "dec edi; jnz .Lcall",
    "lea ecx, [esp + 8]; call .Lclock",
    // write(1, nanoseconds per call, 8)
    "fild dword ptr [esp + 8]; fisub dword ptr [esp]; fimul dword ptr [{billion}]",
    "fiadd dword ptr [esp + 12]; fisub dword ptr [esp + 4]; fidiv dword ptr [{calls}]",
    "fstp qword ptr [esp]; mov eax, 4; mov ebx, 1; mov ecx, esp; mov edx, 8; int 0x80",
    "dec ebp; jnz .Lround",
    ".Ldone: xor ebx, ebx",
    ".Lexit: mov eax, 1; int 0x80",
    // clock_gettime(CLOCK_MONOTONIC, ECX), by int 0x80, which always works
    ".Lclock: mov eax, 265; mov ebx, 1; int 0x80; ret",
    ".org sigward_child32 + {length}",
    ".code64",
    ".popsection",
    length = const LENGTH,
    base = const BASE,
    rounds = const BASE + PARAMETERS,
    calls = const BASE + PARAMETERS + 4,
    offset = const BASE + PARAMETERS + 8,
    billion = const BASE + PARAMETERS + 12,
    no_vdso = const NO_VDSO,
);

// SAFETY: read-only data; `.org` gives it this length.
unsafe extern "C" {
    #[link_name = "sigward_child32"]
    safe static PROGRAM: [u8; LENGTH];
}

/// Times getppid by sysenter.
pub fn sysenter(effort: Effort) -> Outcome {
    run(effort, 0)
}

/// Times the clock in the vDSO.
pub fn vdso(effort: Effort) -> Outcome {
    const CLOCK: &str = "__vdso_clock_gettime";
    let image = run(Effort { rounds: 0, calls: 0 }, 0)?;
    let parsed = object::File::parse(&*image);
    let parsed = parsed.map_err(|error| format!("cannot parse the vDSO: {error}"))?;
    let clock = parsed.dynamic_symbols().find(|symbol| symbol.name() == Ok(CLOCK));
    let clock = clock.ok_or(format!("the vDSO has no {CLOCK}"))?;
    run(effort, clock.address() as u32)
}

fn run(effort: Effort, offset: u32) -> Outcome {
    let program = program([effort.rounds, effort.calls, offset])
        .map_err(|error| format!("cannot run a 32-bit child: {error}"))?;
    child::run(Command::new(format!("/proc/self/fd/{}", program.as_raw_fd())))
}

fn program(parameters: [u32; 3]) -> io::Result<File> {
    let memfd = |more| memfd_create(c"sigward-child32", MFdFlags::MFD_CLOEXEC | more);
    // Kernels before 6.3 do not know MFD_EXEC; later ones may be configured to require it.
    let executable = memfd(MFdFlags::from_bits_retain(libc::MFD_EXEC));
    let file = File::from(executable.or_else(|_| memfd(MFdFlags::empty()))?);
    file.write_all_at(&PROGRAM, 0)?;
    file.write_all_at(&parameters.map(u32::to_le_bytes).concat(), PARAMETERS.into())?;
    Ok(file)
}
