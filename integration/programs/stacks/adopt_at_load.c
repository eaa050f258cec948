// The alternate stack of the main thread is older than main, and was not registered by libc.
// The handler is not either, so nothing but the loading of a library can have seen the stack.
// musl runs the constructors of preloaded libraries first, and so does glibc with ours since 2.34:
// there no stack is older than our constructor.
// links: libearly
// only: glibc
#include "common.h"

extern char *early_stack;

static volatile sig_atomic_t seen;

static void handler(int signal)
{
    char here;
    seen += signal == SIGUSR1 && &here > early_stack && &here < early_stack + STACK_SIZE;
}

int main(void)
{
    // libc knows the restorer: take its action as the template.
    on_signal(SIGUSR1, handler, 0);
    unsigned long action[4];
    MUST(raw_call(SYS_rt_sigaction, SIGUSR1, 0, (long)action, 8) == 0);
    action[1] |= SA_ONSTACK;
    MUST(raw_call(SYS_rt_sigaction, SIGUSR1, (long)action, 0, 8) == 0);
    MUST(raise(SIGUSR1) == 0);
    printf("on the alternate stack: %d\n", (int)seen);
    return seen != 1;
}
