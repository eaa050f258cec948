//! A 32-bit child, which has ways into the kernel of its own.
//!
//! Its program, an ELF file of some 300 bytes, is assembled into this command: no 32-bit
//! compiler or libc is needed. It runs from a memfd.

use std::arch::global_asm;

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::{fexecve, write};
use object::{Object, ObjectSymbol};

use super::super::child::{self, Effort, Outcome, times};

/// Length of the ELF file.
const LENGTH: usize = 512;
/// Where the kernel loads it.
const BASE: u32 = 0x0804_8000;
/// Offset of the parameters in it, behind its headers.
const PARAMETERS: usize = 52 + 32;

global_asm!(
    ".pushsection .rodata.sigward_child32, \"a\"",
    ".globl SIGWARD_CHILD32; .code32; SIGWARD_CHILD32:",
    // Elf32_Ehdr: ET_EXEC, EM_386
    ".byte 0x7f, 0x45, 0x4c, 0x46, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0",
    ".short 2, 3; .long 1, {base} + .Lstart - SIGWARD_CHILD32, 52, 0, 0; .short 52, 32, 1, 0, 0, 0",
    // Elf32_Phdr: one segment, read and execute
    ".long 1, 0, {base}, {base}, {length}, {length}, 5, 4096",
    // Parameters: rounds (0: write the vDSO to stdout), calls per round, and the offset
    // in the vDSO to call (0: call sysenter)
    ".long 0, 0, 0",
    // EAX = the vDSO: the value behind AT_SYSINFO_EHDR, which is the first 33 on the stack. If
    // there is none, the search ends with SIGSEGV, at the end of the stack.
    ".Lstart: mov esi, esp; 2: lodsd; cmp eax, 33; jne 2b; lodsd",
    "mov ebp, dword ptr [{parameters}]; test ebp, ebp; jnz 3f",
    // write(1, vDSO, two pages); fewer bytes if it is shorter
    "mov ecx, eax; mov edx, 8192; call .Lwrite; jmp .Ldone",
    // ESI = what to call. The kernel returns from a sysenter into the vDSO, which pops
    // what is pushed here and returns.
    "3: mov esi, dword ptr [{parameters} + 8]; add esi, eax; cmp esi, eax; jne 5f",
    "call 4f; push ecx; push edx; push ebp; mov ebp, esp; sysenter; ud2; 4: pop esi",
    // A round begins at [esp] and ends at [esp + 8]; the vDSO writes to [esp + 16].
    "5: sub esp, 32",
    ".Lround: mov ecx, esp; call .Lclock; mov edi, dword ptr [{parameters} + 4]",
    // ESI(CLOCK_MONOTONIC, address); getppid for sysenter
    ".Lcall: lea eax, [esp + 16]; push eax; push 1; mov eax, 64; call esi; add esp, 8",
    "dec edi; jnz .Lcall; lea ecx, [esp + 8]; call .Lclock",
    "mov ecx, esp; mov edx, 16; call .Lwrite; dec ebp; jnz .Lround",
    ".Ldone: xor ebx, ebx; mov eax, 1; int 0x80",
    // clock_gettime(CLOCK_MONOTONIC, ECX) and write(1, ECX, EDX), by int 0x80
    ".Lclock: mov eax, 265; mov ebx, 1; int 0x80; ret",
    ".Lwrite: mov eax, 4; mov ebx, 1; int 0x80; ret",
    ".org SIGWARD_CHILD32 + {length}",
    ".code64; .popsection",
    length = const LENGTH,
    base = const BASE,
    parameters = const BASE + PARAMETERS as u32,
);

// SAFETY: read-only data; `.org` gives it this length.
unsafe extern "C" {
    safe static SIGWARD_CHILD32: [u8; LENGTH];
}

/// Times getppid by sysenter.
pub fn sysenter(effort: Effort) -> Outcome {
    Ok(times(effort, &run([effort.rounds, effort.calls, 0])?))
}

/// Times the clock in the vDSO.
pub fn vdso(effort: Effort) -> Outcome {
    let image = run([0; 3])?;
    let vdso = object::File::parse(&*image).map_err(|_| "the kernel maps no 32-bit vDSO")?;
    let clock = vdso.dynamic_symbols().find(|symbol| symbol.name() == Ok("__vdso_clock_gettime"));
    let clock = clock.ok_or("the vDSO has no clock_gettime")?;
    Ok(times(effort, &run([effort.rounds, effort.calls, clock.address() as u32])?))
}

/// Executes the program, in a child, from a file without a name.
fn run(parameters: [u32; 3]) -> Result<Vec<u8>, String> {
    let mut program = SIGWARD_CHILD32;
    program[PARAMETERS..][..12].copy_from_slice(parameters.map(u32::to_le_bytes).as_flattened());
    // Kernels before 6.3 do not know MFD_EXEC; later ones may be configured to require it.
    let memfd = |flags| memfd_create(c"sigward-bench", MFdFlags::from_bits_retain(flags));
    let file = memfd(libc::MFD_CLOEXEC | libc::MFD_EXEC).or_else(|_| memfd(libc::MFD_CLOEXEC));
    let file = file.and_then(|file| write(&file, &program).and(Ok(file)));
    let file = file.map_err(|error| format!("cannot make a 32-bit program: {error}"))?;
    child::run(|| fexecve(&file, &[c"sigward-bench"], &[c""; 0]).unwrap_err() as i32)
}
