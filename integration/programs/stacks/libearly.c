// A library whose constructor registers an alternate stack by a system call of its own, before any
// other code could notice. No signal is taken there yet.
#include "common.h"

char *early_stack;

__attribute__((constructor)) static void constructor(void)
{
    dead_man(20);
    early_stack = fresh_pages(STACK_SIZE);
    MUST(raw_set_altstack(early_stack, STACK_SIZE) == 0);
}
