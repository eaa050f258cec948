//! `libsigward.so`.
#![no_std]
use core::fmt::Write;
use core::arch::{asm, global_asm};

global_asm!(
    ".hidden rust_eh_personality",
    ".globl rust_eh_personality",
    "rust_eh_personality:",
    "ud2",
    ".hidden memcpy", ".globl memcpy", "memcpy:", "mov rax, rdi", "mov rcx, rdx", "rep movsb", "ret",
    ".hidden memset", ".globl memset", "memset:", "mov r8, rdi", "mov eax, esi", "mov rcx, rdx", "rep stosb", "mov rax, r8", "ret",
);

unsafe extern "C" { fn sigward_a_panic_path_is_linked() -> !; }
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { unsafe { sigward_a_panic_path_is_linked() } }

struct Buf { b: [u8; 256], n: usize }
impl Write for Buf { fn write_str(&mut self, s: &str) -> core::fmt::Result {
    for &c in s.as_bytes() { if let Some(p) = self.b.get_mut(self.n) { *p = c; self.n += 1; } }
    Ok(()) } }

struct L;
impl log::Log for L {
    fn enabled(&self, _: &log::Metadata) -> bool { true }
    fn log(&self, r: &log::Record) {
        let mut b = Buf { b: [0; 256], n: 0 };
        let _ = writeln!(b, "sigward[{}] {}: {}", 4u32, r.level(), r.args());
        unsafe { asm!("syscall", in("rax") 1, in("rdi") 2, in("rsi") b.b.as_ptr(), in("rdx") b.n, lateout("rcx") _, lateout("r11") _, lateout("rax") _); }
    }
    fn flush(&self) {}
}
static LL: L = L;
#[unsafe(no_mangle)]
/// x
pub extern "C" fn sigstack(a: usize) -> i32 {
    let _ = log::set_logger(&LL);
    log::set_max_level(log::LevelFilter::Warn);
    log::warn!("hello {} {:#x} {}", a, a, "str");
    0
}
