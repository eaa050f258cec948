/* Sets two stacks of 16 KiB, each with a guard inside, one after the other. A handler uses 30,001 bytes
 * below the top of what the kernel has for the first. Prints where the program's first one is and what
 * the kernel has for each, and waits until its standard input ends. */
// compared: elsewhere
#include "common.h"

enum { SIZE = 16 * 1024, DEEPEST = 30001 };

static char *real(void)
{
    stack_t now = {0};
    MUST(raw_call(SYS_sigaltstack, 0, (long)&now, 0, 0) == 0);
    return now.ss_sp;
}

static void deep(int signal)
{
    (void)signal;
    stack_t now = {0};
    MUST(raw_call(SYS_sigaltstack, 0, (long)&now, 0, 0) == 0);
    volatile char *lowest = (char *)now.ss_sp + now.ss_size - DEEPEST;
    *lowest = 1;
}

int main(void)
{
    dead_man(60);
    on_signal(SIGUSR1, deep, SA_ONSTACK);
    char *stacks = fresh_pages(2 * SIZE);
    MUST(mprotect(stacks, PAGE, PROT_NONE) == 0 && mprotect(stacks + SIZE, PAGE, PROT_NONE) == 0);
    MUST(set_altstack(stacks, SIZE) == 0);
    char *first = real();
    if (first != stacks)
        MUST(raise(SIGUSR1) == 0);
    MUST(set_altstack(stacks + SIZE, SIZE) == 0);
    printf("%lu %lu %lu\n", (unsigned long)stacks, (unsigned long)first, (unsigned long)real());
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}
