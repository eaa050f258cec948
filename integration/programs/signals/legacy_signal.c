// The old ways to install a handler, and the flags that reach the kernel. None of them sets
// SA_ONSTACK, so none can put a frame on an alternate stack, and none needs a hook.
#include "common.h"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

// Not through libc's sigaction, which is under test.
static void print_flags(const char *name)
{
    unsigned long action[4] = {0};
    MUST(syscall(SYS_rt_sigaction, SIGUSR1, NULL, action, 8) == 0);
    printf("%s: flags %#lx, SA_ONSTACK %s\n", name, action[1], action[1] & SA_ONSTACK ? "yes" : "no");
    MUST(raise(SIGUSR1) == 0);
    MUST(signal(SIGUSR1, SIG_DFL) != SIG_ERR);
}

#ifdef __GLIBC__
extern void (*sysv_signal(int, void (*)(int)))(int) __attribute__((weak));
#else // Only with the library, which is not compared.
#define sysv_signal ((void (*(*)(int, void (*)(int)))(int))NULL)
#endif
extern void (*__sysv_signal(int, void (*)(int)))(int) __attribute__((weak));
extern void (*bsd_signal(int, void (*)(int)))(int) __attribute__((weak));
extern void (*sigset(int, void (*)(int)))(int) __attribute__((weak));

int main(void)
{
    dead_man(20);
    MUST(set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    MUST(signal(SIGUSR1, handler) == SIG_DFL);
    print_flags("signal");
    if (sysv_signal) {
        sysv_signal(SIGUSR1, handler);
        print_flags("sysv_signal");
    }
    if (__sysv_signal) {
        __sysv_signal(SIGUSR1, handler);
        print_flags("__sysv_signal");
    }
    if (bsd_signal) {
        bsd_signal(SIGUSR1, handler);
        print_flags("bsd_signal");
    }
    if (sigset) {
        sigset(SIGUSR1, handler);
        print_flags("sigset");
    }
    // A function that changes the flags of an existing action: does it keep SA_ONSTACK?
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(siginterrupt(SIGUSR1, 1) == 0);
    print_flags("siginterrupt after SA_ONSTACK");
    printf("signals: %d\n", (int)seen);
    return 0;
}
