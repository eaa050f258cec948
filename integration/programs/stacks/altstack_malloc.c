// A signal is taken on an alternate stack from malloc that is not page-aligned.
#include "common.h"

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

int main(void)
{
    dead_man(20);
    char *block = malloc(STACK_SIZE + PAGE);
    MUST(block);
    // malloc aligns to 16 bytes: a program may pass a stack at any of these offsets.
    char *stack = block + ((uintptr_t)block % PAGE == 0 ? 24 : 8);
    MUST((uintptr_t)stack % PAGE != 0);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(raise(SIGUSR1) == 0);
    printf("signals: %d\n", (int)seen);
    return seen != 1;
}
