// sigaltstack(2) with its argument at an odd address, which the kernel accepts. Prints what is
// locked.
// compared: elsewhere
#include "common.h"

static void set(const stack_t *stack)
{
    char place[sizeof *stack + 1];
    memcpy(place + 1, stack, sizeof *stack);
    MUST(sigaltstack((void *)(place + 1), NULL) == 0);
}

int main(void)
{
    dead_man(20);
    stack_t stack = {.ss_sp = fresh_pages(STACK_SIZE), .ss_size = STACK_SIZE};
    set(&stack);
    printf("set: %ld KiB\n", status_kb("VmLck"));
    stack.ss_flags = SS_DISABLE;
    set(&stack);
    printf("disabled: %ld KiB\n", status_kb("VmLck"));
    return 0;
}
