/* One thread that sets more stacks, one after the other, than sigward keeps larger ones for. All stay
 * mapped, as contexts may live on them. Prints for how many the kernel got another place, and whether
 * the program always sees its own. */
// compared: elsewhere
#include "common.h"

enum { MANY = 1100, SIZE = 8192 };

static volatile int ran;

static void handler(int signal)
{
    (void)signal;
    ran++;
}

int main(void)
{
    dead_man(60);
    char *stacks = fresh_pages((size_t)MANY * SIZE);
    int elsewhere = 0, in_order = 1, wrong = 0;
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    for (int i = 0; i < MANY; i++) {
        char *own = stacks + (size_t)i * SIZE;
        stack_t seen, real;
        MUST(set_altstack(own, SIZE) == 0);
        MUST(sigaltstack(NULL, &seen) == 0);
        MUST(raw_call(SYS_sigaltstack, 0, (long)&real, 0, 0) == 0);
        wrong |= seen.ss_sp != own || seen.ss_size != SIZE;
        in_order &= elsewhere == i || real.ss_sp == own;
        elsewhere += real.ss_sp != own;
        raise(SIGUSR1);
    }
    printf("elsewhere %d, the first ones %d, wrong %d, handlers %d\n", elsewhere, in_order, wrong, ran);
    return 0;
}
