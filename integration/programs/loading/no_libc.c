// A program with only the dynamic loader: there is no libc in the process.
// build: -nostdlib -nostartfiles -fPIE -pie -fno-stack-protector
// only: glibc
// only: x86
#include <sys/syscall.h>

static long call(long number, long a, long b, long c)
{
    long result;
#ifdef __i386__
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
#else
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#endif
    return result;
}

void _start(void)
{
    call(SYS_write, 1, (long)"alive\n", 6);
    call(SYS_exit, 7, 0, 0);
    __builtin_unreachable();
}
