// The signal calls, and others, made through libc's syscall(). With the argument "frame"
// a signal is then taken on the stack that was set this way.
#include "common.h"

// The kernel's struct sigaction on x86-64.
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    unsigned long mask;
};

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

int main(void)
{
    dead_man(20);
    char *base = fresh_pages(STACK_SIZE);
    stack_t new = {.ss_sp = base, .ss_size = STACK_SIZE}, old;
    memset(&old, 0x5a, sizeof old);
    errno = ENOTTY;
    long result = syscall(SYS_sigaltstack, &new, &old);
    printf("set: %ld errno %d old %p %d %zu\n", result, errno, old.ss_sp, old.ss_flags, old.ss_size);
    memset(&old, 0x5a, sizeof old);
    result = syscall(SYS_sigaltstack, NULL, &old);
    printf("query: %ld same %d flags %d size %zu\n", result, old.ss_sp == base, old.ss_flags, old.ss_size);
    errno = 0;
    result = syscall(SYS_sigaltstack, (void *)8, NULL);
    printf("bad ss: %ld errno %d\n", result, errno);
    errno = 0;
    new.ss_size = 1;
    result = syscall(SYS_sigaltstack, &new, NULL);
    printf("too small: %ld errno %d\n", result, errno);

    // libc knows the restorer: take its action as a template.
    on_signal(SIGUSR1, handler, 0);
    struct kernel_action action, before;
    memset(&action, 0, sizeof action);
    result = syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, 8);
    printf("action: %ld same %d flags %#lx mask %#lx\n", result, action.handler == handler, action.flags,
           action.mask);
    action.flags |= SA_ONSTACK;
    action.mask = 0x1000;
    errno = ENOTTY;
    result = syscall(SYS_rt_sigaction, SIGUSR1, &action, &before, 8);
    printf("set action: %ld errno %d same %d flags %#lx mask %#lx\n", result, errno,
           before.handler == handler, before.flags, before.mask);
    errno = 0;
    result = syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 7);
    printf("bad set size: %ld errno %d\n", result, errno);
    errno = 0;
    result = syscall(SYS_rt_sigaction, 99, &action, NULL, 8);
    printf("bad signal: %ld errno %d\n", result, errno);
    errno = 0;
    result = syscall(SYS_rt_sigaction, SIGUSR1, (void *)8, NULL, 8);
    printf("bad action: %ld errno %d\n", result, errno);
    MUST(raise(SIGUSR1) == 0);
    printf("signals: %d\n", (int)seen);

    // Six arguments, all of which matter.
    int fd = open("/proc/self/exe", O_RDONLY);
    MUST(fd >= 0);
    char *map = (char *)syscall(SYS_mmap, base + PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0L);
    printf("mmap: in place %d, an ELF file %d\n", map == base + PAGE, !memcmp(map, "\177ELF", 4));
    errno = 0;
    result = syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 1L);
    printf("mmap at offset 1: %ld errno %d\n", result, errno);
    errno = 0;
    result = syscall(100000);
    printf("no such call: %ld errno %d\n", result, errno);
    errno = ENOTTY;
    printf("getpid: same %d errno %d\n", syscall(SYS_getpid) == getpid(), errno);
    return 0;
}
