// What several programs need: checks that print the failed call, and what the kernel says about
// memory.
#ifndef COMMON_H
#define COMMON_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_process_madvise // Linux 5.10
#define SYS_process_madvise 440
#endif

#define PAGE 4096UL
#define STACK_SIZE (16 * PAGE)

// Ends the program with the text of the failed call, so that a broken test does not look like a
// result.
#define MUST(call)                                                                              \
    do {                                                                                        \
        if (!(call)) {                                                                          \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, strerror(errno));     \
            exit(99);                                                                           \
        }                                                                                       \
    } while (0)

// Every program that can hang calls this first.
__attribute__((unused)) static void dead_man(unsigned seconds) { alarm(seconds); }

// New untouched pages. Surrounded by PROT_NONE pages, so that they are never merged with a
// neighbour and smaps has figures for them alone.
__attribute__((unused)) static char *fresh_pages(size_t size)
{
    char *all = mmap(NULL, size + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(all != MAP_FAILED);
    MUST(mprotect(all + PAGE, size, PROT_READ | PROT_WRITE) == 0);
    return all + PAGE;
}

// A separate mapping without anything around it, as most programs make one.
__attribute__((unused)) static char *plain_pages(size_t size)
{
    char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(pages != MAP_FAILED);
    return pages;
}

__attribute__((unused)) static int set_altstack(void *base, size_t size)
{
    stack_t stack = {.ss_sp = base, .ss_size = size};
    return sigaltstack(&stack, NULL);
}

__attribute__((unused)) static int drop_altstack(void)
{
    stack_t stack = {.ss_flags = SS_DISABLE};
    return sigaltstack(&stack, NULL);
}

// How many mappings the process has. Maps nothing itself.
__attribute__((unused)) static long mapping_count(void)
{
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY);
    MUST(fd >= 0);
    long lines = 0;
    for (ssize_t got; (got = read(fd, text, sizeof text)) > 0;)
        for (ssize_t at = 0; at < got; at++)
            lines += text[at] == '\n';
    close(fd);
    return lines;
}

// A system call by an instruction of our own, which no library can see.
__attribute__((unused)) static long raw_call(long number, long a, long b, long c, long d)
{
    long result;
#ifdef __i386__
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(0)
                     : "memory");
#elif defined __aarch64__
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
                  x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    result = x0;
#elif defined __riscv
    register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b,
                  a2 __asm__("a2") = c, a3 __asm__("a3") = d;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
    result = a0;
#else
    register long r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
#endif
    return result;
}

// Fresh private pages at `at`, mapped past every library.
__attribute__((unused)) static char *raw_map(void *at, size_t size)
{
    long protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
#ifdef __i386__
    long words[6] = {(long)at, size, protection, flags, -1, 0};
    return (char *)raw_call(SYS_mmap, (long)words, 0, 0, 0);
#elif defined __aarch64__
    register long x8 __asm__("x8") = SYS_mmap, x0 __asm__("x0") = (long)at, x1 __asm__("x1") = size,
                  x2 __asm__("x2") = protection, x3 __asm__("x3") = flags, x4 __asm__("x4") = -1,
                  x5 __asm__("x5") = 0;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return (char *)x0;
#elif defined __riscv
    register long a7 __asm__("a7") = SYS_mmap, a0 __asm__("a0") = (long)at, a1 __asm__("a1") = size,
                  a2 __asm__("a2") = protection, a3 __asm__("a3") = flags, a4 __asm__("a4") = -1,
                  a5 __asm__("a5") = 0;
    __asm__ volatile("ecall"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                     : "memory");
    return (char *)a0;
#else
    register long r10 __asm__("r10") = flags, fd __asm__("r8") = -1, offset __asm__("r9") = 0;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(SYS_mmap), "D"(at), "S"(size), "d"(protection), "r"(r10), "r"(fd), "r"(offset)
                     : "rcx", "r11", "memory");
    return (char *)result;
#endif
}

// Runs `run` with the stack pointer at `top`.
__attribute__((unused, noinline)) static void stand_on(char *top, void (*run)(void))
{
#ifdef __i386__
    __asm__ volatile("mov %%esp, %%ebx\n\tmov %0, %%esp\n\tcall *%1\n\tmov %%ebx, %%esp"
                     : "+S"(top), "+D"(run)
                     :
                     : "eax", "ebx", "ecx", "edx", "cc", "memory");
#elif defined __aarch64__
    register char *x20 __asm__("x20") = top;
    register void (*x21)(void) __asm__("x21") = run;
    __asm__ volatile("mov x19, sp\n\tmov sp, %0\n\tblr %1\n\tmov sp, x19"
                     : "+r"(x20), "+r"(x21)
                     :
                     : "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12",
                       "x13", "x14", "x15", "x16", "x17", "x18", "x19", "x30", "cc", "memory");
#elif defined __riscv
    register char *s2 __asm__("s2") = top;
    register void (*s3)(void) __asm__("s3") = run;
    __asm__ volatile("mv s4, sp\n\tmv sp, %0\n\tjalr %1\n\tmv sp, s4"
                     : "+r"(s2), "+r"(s3)
                     :
                     : "ra", "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a0", "a1", "a2", "a3", "a4",
                       "a5", "a6", "a7", "s4", "memory");
#else
    __asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tcall *%1\n\tmov %%rbx, %%rsp"
                     : "+r"(top), "+r"(run)
                     :
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc", "memory");
#endif
}

__attribute__((unused)) static long raw_set_altstack(void *base, size_t size)
{
    stack_t stack = {.ss_sp = base, .ss_size = size};
    return raw_call(SYS_sigaltstack, (long)&stack, 0, 0, 0);
}

#ifndef EXTRA_FLAGS // such as SA_SIGINFO, for which 32-bit programs get another frame
#define EXTRA_FLAGS 0
#endif

__attribute__((unused)) static void on_signal(int signal, void (*handler)(int), int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = flags | EXTRA_FLAGS;
    MUST(sigaction(signal, &action, NULL) == 0);
}

// A field of /proc/thread-self/status in KiB, such as VmLck. Uses system calls only: stdio would
// allocate.
__attribute__((unused)) static long status_kb(const char *field)
{
    static char text[8192];
    int fd = open("/proc/thread-self/status", O_RDONLY);
    MUST(fd >= 0);
    ssize_t got = read(fd, text, sizeof text - 1);
    MUST(got > 0);
    close(fd);
    text[got] = 0;
    char name[32];
    snprintf(name, sizeof name, "\n%s:", field);
    char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) : -1;
}

// Calls `found` with each line of smaps, and the number of pages of [base, base+size) in its VMA.
// It does not allocate: that might map memory into a hole under test.
__attribute__((unused)) static long sum_smaps(const void *base, size_t size,
                                              long (*found)(const char *line, long pages))
{
    static char text[1 << 20];
    int fd = open("/proc/self/smaps", O_RDONLY);
    MUST(fd >= 0);
    size_t length = 0;
    ssize_t got;
    while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += got;
    MUST(got == 0 && length < sizeof text - 1);
    close(fd);
    text[length] = 0;

    uintptr_t from = (uintptr_t)base & ~(PAGE - 1);
    uintptr_t to = ((uintptr_t)base + size + PAGE - 1) & ~(PAGE - 1);
    unsigned long start = 0, end = 0;
    long sum = 0;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        unsigned long a, b;
        char dash;
        if (sscanf(line, "%lx%c%lx ", &a, &dash, &b) == 3 && dash == '-') {
            start = a < from ? from : a;
            end = b > to ? to : b;
        } else if (start < end) {
            sum += found(line, (end - start) / PAGE);
        }
    }
    return sum;
}

__attribute__((unused)) static long if_marked(const char *line, long pages)
{
    return !strncmp(line, "VmFlags:", 8) && strstr(line, " lo") ? pages : 0;
}

// Pages of [base, base+size) in locked VMAs, by the "lo" flag of smaps.
__attribute__((unused)) static long locked_pages(const void *base, size_t size)
{
    return sum_smaps(base, size, if_marked);
}

__attribute__((unused)) static long if_locked(const char *line, long pages)
{
    (void)pages;
    return !strncmp(line, "Locked:", 7) ? strtol(line + 7, NULL, 10) : 0;
}

// The field Locked of smaps, in KiB, of the VMAs that overlap [base, base+size).
__attribute__((unused)) static long smaps_locked_kb(const void *base, size_t size)
{
    return sum_smaps(base, size, if_locked);
}

// Pages of [base, base+size) that are present according to the page tables. mincore would also
// count pages that are still cached on their way to swap.
__attribute__((unused)) static long present_pages(const void *base, size_t size)
{
    uintptr_t from = (uintptr_t)base / PAGE, to = ((uintptr_t)base + size + PAGE - 1) / PAGE;
    int fd = open("/proc/self/pagemap", O_RDONLY);
    MUST(fd >= 0);
    long pages = 0;
    while (from < to) {
        static uint64_t entries[4096];
        size_t count = to - from < 4096 ? to - from : 4096;
        ssize_t got = pread(fd, entries, count * 8, from * 8);
        MUST(got > 0);
        for (ssize_t i = 0; i < got / 8; i++)
            pages += entries[i] >> 63;
        from += got / 8;
    }
    close(fd);
    return pages;
}

// Pages of [base, base+size) that are in memory, by mincore.
__attribute__((unused)) static long resident_pages(void *base, size_t size)
{
    char *from = (char *)((uintptr_t)base & ~(PAGE - 1));
    size_t length = (((uintptr_t)base + size + PAGE - 1) & ~(PAGE - 1)) - (uintptr_t)from;
    unsigned char *map = malloc(length / PAGE);
    long pages = 0;
    MUST(map && mincore(from, length, map) == 0);
    for (size_t i = 0; i < length / PAGE; i++)
        pages += map[i] & 1;
    free(map);
    return pages;
}

#endif
