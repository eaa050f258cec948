// The program locks its own stack before it registers it. That lock stays when the stack is
// registered, replaced and disabled, and goes when the program unlocks.
#include "common.h"

static char *stack, *other;

static void step(const char *name)
{
    printf("%s: %ld pages locked\n", name, locked_pages(stack, STACK_SIZE));
}

int main(void)
{
    dead_man(20);
    stack = fresh_pages(STACK_SIZE);
    other = fresh_pages(STACK_SIZE);
    step("fresh");
    // The upper half only: locks on the other half must not stay.
    MUST(mlock(stack + STACK_SIZE / 2, STACK_SIZE / 2) == 0);
    step("locked by the program");
    MUST(set_altstack(stack + STACK_SIZE / 2, STACK_SIZE / 2) == 0);
    step("registered");
    MUST(set_altstack(other, STACK_SIZE) == 0);
    step("replaced");
    MUST(set_altstack(stack + STACK_SIZE / 2, STACK_SIZE / 2) == 0);
    MUST(drop_altstack() == 0);
    step("disabled");
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    MUST(drop_altstack() == 0);
    step("whole stack came and went");
    MUST(munlock(stack, STACK_SIZE) == 0);
    step("unlocked by the program");
    return 0;
}
