// A library whose constructor uses an alternate stack. It may run before all other constructors.
#include "common.h"

int ctor_seen;

static void handler(int signal) { ctor_seen += signal == SIGUSR1; }

__attribute__((constructor)) static void constructor(void)
{
    dead_man(20);
    MUST(set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(raise(SIGUSR1) == 0);
}
