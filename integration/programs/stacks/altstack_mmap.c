// A signal is taken on a mapped alternate stack that was never touched.
#include "common.h"

static volatile sig_atomic_t seen;
static char *stack;

static void handler(int signal)
{
    char here;
    seen += signal == SIGUSR1 && &here > stack && &here < stack + STACK_SIZE;
}

int main(void)
{
    dead_man(20);
    stack = fresh_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(raise(SIGUSR1) == 0);
    printf("on the alternate stack: %d\n", (int)seen);
    return seen != 1;
}
