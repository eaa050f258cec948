// The meter's control: the program itself locks its alternate stack, so no frame faults.
#include "common.h"

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

int main(void)
{
    dead_man(20);
    char *stack = fresh_pages(STACK_SIZE);
    MUST(mlock(stack, STACK_SIZE) == 0);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(raise(SIGUSR1) == 0);
    printf("signals: %d\n", (int)seen);
    return seen != 1;
}
