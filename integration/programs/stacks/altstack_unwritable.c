// A signal arrives for an alternate stack that cannot be written: the kernel kills the
// process.
#include "common.h"

static void handler(int signal) { (void)signal; }

int main(void)
{
    dead_man(20);
    char *stack = fresh_pages(STACK_SIZE);
    MUST(mprotect(stack, STACK_SIZE, PROT_NONE) == 0);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    raise(SIGUSR1);
    puts("still alive");
    return 0;
}
