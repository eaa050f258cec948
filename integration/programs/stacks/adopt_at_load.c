// The main thread's alternate stack is older than main, and libc did not register it. The same
// holds for the handler, so only the loading of a library can have noticed the stack. musl runs the
// constructors of preloaded libraries first, and so does glibc with ours since 2.34: there no stack
// is older than our constructor.
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
    // libc knows the restorer: take its action as a template.
    on_signal(SIGUSR1, handler, 0);
    unsigned long action[4];
    MUST(raw_call(SYS_rt_sigaction, SIGUSR1, 0, (long)action, 8) == 0);
    action[1] |= SA_ONSTACK;
    MUST(raw_call(SYS_rt_sigaction, SIGUSR1, (long)action, 0, 8) == 0);
    MUST(raise(SIGUSR1) == 0);
    printf("on the alternate stack: %d\n", (int)seen);
    return seen != 1;
}
