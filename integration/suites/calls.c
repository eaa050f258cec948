// Counts the calls of the functions that libsigward.so hooks. It is preloaded before that library
// and counts for all processes together, in the file $SUITE_CALLS. Each wrapper counts and then
// jumps: arguments, stack and return address stay untouched, so it fits every signature (even
// syscall(2) and clone).
//
// gcc -O1 -shared -fPIC -fno-toplevel-reorder '-DHOOKED=CALL(madvise) CALL(wait4) …'; the Nth name
// has its count in the Nth 64-bit word of the file.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define CALL(name) NUMBER_##name,
enum { HOOKED CALLS };
#undef CALL

#define CALL(name) #name,
static const char *const names[] = { HOOKED };
#undef CALL

// The next library's functions. Null before the first call, which another library's constructor may
// make before ours runs.
__attribute__((visibility("hidden"))) void *calls_next[CALLS];
static unsigned long unshared[CALLS];
__attribute__((visibility("hidden"))) unsigned long *calls_counts = unshared;

// Not through libc's functions, which are counted here.
static long raw(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}

__attribute__((constructor, visibility("hidden"))) void calls_resolve(void)
{
    if (calls_next[0])
        return;
    for (int i = CALLS - 1; i >= 0; i--)
        calls_next[i] = dlsym(RTLD_NEXT, names[i]) ?: (void *)abort;
    const char *file = getenv("SUITE_CALLS");
    long fd = file ? raw(SYS_open, (long)file, O_RDWR | O_CLOEXEC, 0, 0, 0, 0) : -1;
    if (fd < 0)
        return;
    long map = raw(SYS_mmap, 0, sizeof unshared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map > 0)
        calls_counts = (unsigned long *)map;
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

// Preserves the registers that carry arguments.
__asm__(".text\n"
        "calls_first:\n"
        "  push %rdi; push %rsi; push %rdx; push %rcx; push %r8; push %r9; push %rax\n"
        "  push %r11; push %rbp; mov %rsp, %rbp; and $-16, %rsp\n"
        "  call calls_resolve\n"
        "  mov %rbp, %rsp; pop %rbp; pop %r11\n"
        "  pop %rax; pop %r9; pop %r8; pop %rcx; pop %rdx; pop %rsi; pop %rdi\n"
        "  jmp *%r11\n");

// r11 is free between a caller and a function.
#define CALL(name)                                                            \
    __asm__(".globl " #name "\n.type " #name ", @function\n" #name ":\n"      \
            "0: endbr64\n"                                                    \
            "  lea 0b(%rip), %r11\n"                                          \
            "  cmpq $0, calls_next+8*calls_number(%rip)\n"                    \
            "  je calls_first\n"                                              \
            "  mov calls_counts(%rip), %r11\n"                                \
            "  lock incq 8*calls_number(%r11)\n"                              \
            "  jmp *calls_next+8*calls_number(%rip)\n"                        \
            ".set calls_number, calls_number+1\n");
__asm__(".set calls_number, 0\n");
HOOKED
