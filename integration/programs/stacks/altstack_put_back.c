// A handler on the ordinary stack sets another alternate stack. When it returns, the kernel
// restores the previous one, and the next signal is taken there.
// compared: elsewhere
#include "common.h"

static char first[8192], second[12900];
static volatile int delivered;

static void set_second(int signal)
{
    (void)signal;
    MUST(set_altstack(second, sizeof second) == 0);
}

static void count(int signal)
{
    (void)signal;
    delivered++;
}

int main(void)
{
    dead_man(20);
    MUST(set_altstack(first, sizeof first) == 0);
    on_signal(SIGUSR1, set_second, 0);
    on_signal(SIGUSR2, count, SA_ONSTACK);
    for (int i = 0; i < 3; i++) {
        raise(SIGUSR1);
        raise(SIGUSR2);
    }
    printf("delivered: %d\n", delivered);
    return 0;
}
