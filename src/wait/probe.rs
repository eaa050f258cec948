//! Whether this process may use `int 0x80`.

use core::arch::asm;

use crate::sys::call;
use crate::sys::errno::Errno;

/// Whether `int 0x80` waitid works here and harms nobody: no seccomp filter
/// is in place (one that checks the architecture kills), and a disposable
/// child survives it. For use at load: it forks.
#[must_use]
pub fn int80_works() -> bool {
    unfiltered() && disposable_child_survives()
}

/// Whether the kernel says that no filter watches this process. Read, not
/// asked for by prctl(2), which a filter may punish.
fn unfiltered() -> bool {
    let mut text = [0_u8; 4096];
    let Ok(text) = call::read_file(c"/proc/self/status", &mut text) else {
        return false;
    };
    let mut lines = text.split(|&byte| byte == b'\n');
    // A kernel without seccomp has no such line.
    lines.all(|line| line.strip_prefix(b"Seccomp:").is_none_or(|mode| mode.trim_ascii() == b"0"))
}

/// Exit code of a child for which everything was right.
const RIGHT: usize = 77;

fn disposable_child_survives() -> bool {
    // No exit signal: the program's SIGCHLD handler and its waits do not see
    // the child. Its memory is a copy, so its death harms nobody.
    // SAFETY: fork in its simplest form: no flags, no pointers.
    match unsafe { call::raw(libc::SYS_clone, [0; 6]) } {
        Ok(0) => try_in_child(),
        Ok(child) => loop {
            let mut status = 0_i32;
            let place = core::ptr::from_mut(&mut status) as usize;
            let args = [child, place, libc::__WALL as usize, 0, 0, 0];
            // SAFETY: a live place for the status.
            match unsafe { call::raw(libc::SYS_wait4, args) } {
                Err(Errno::EINTR) => {}
                Err(_) => return false,
                Ok(_) => break status == (RIGHT << 8) as i32,
            }
        },
        Err(_) => false,
    }
}

fn try_in_child() -> ! {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let limit = core::ptr::from_ref(&no_core) as usize;
    // SAFETY: a live limit.
    let _ =
        unsafe { call::raw(libc::SYS_prlimit64, [0, libc::RLIMIT_CORE as usize, limit, 0, 0, 0]) };
    // waitid(P_ALL, 0, NULL, WEXITED | WNOHANG | WNOWAIT, NULL) of a process
    // without children.
    let result: i32;
    // SAFETY: at worst the kernel kills this child. RBX is the compiler's, so
    // it is put back; nothing unwinds here.
    unsafe {
        asm!(
            "xchg rbx, {kind}",
            "int 0x80",
            "xchg rbx, {kind}",
            kind = inout(reg) 0_usize => _,
            inlateout("eax") 284 => result,
            in("ecx") 0,
            in("edx") 0,
            in("esi") libc::WEXITED | libc::WNOHANG | libc::WNOWAIT,
            in("edi") 0,
            lateout("r8") _, lateout("r9") _, lateout("r10") _, lateout("r11") _,
        );
    }
    let code = if result == -libc::ECHILD { RIGHT } else { 1 };
    loop {
        // SAFETY: ends this child, without libc's exit handlers.
        let _ = unsafe { call::raw(libc::SYS_exit_group, [code, 0, 0, 0, 0, 0]) };
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn int80_is_probed_without_a_trace() {
        // Debian's kernels have it; a test run under a filter has not.
        let works = super::int80_works();
        let mut status = 0;
        // SAFETY: a live status.
        let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG | libc::__WALL) };
        assert_eq!(child, -1, "the probe's child was reaped");
        let filtered = !super::unfiltered();
        assert!(works || filtered || cfg!(not(target_os = "linux")) || no_32_bit_entry());
    }

    /// Whether the kernel has no 32-bit entry at all.
    fn no_32_bit_entry() -> bool {
        std::fs::read_to_string("/proc/cmdline")
            .is_ok_and(|line| line.contains("ia32_emulation=0") || line.contains("=off"))
    }
}
