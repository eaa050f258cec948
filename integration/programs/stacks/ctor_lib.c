// An alternate stack that exists before main: a library's constructor sets it.
// links: libctor
#include "common.h"

extern int ctor_seen;

int main(void)
{
    printf("in the constructor: %d\n", ctor_seen);
    MUST(raise(SIGUSR1) == 0);
    printf("in main: %d\n", ctor_seen);
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    printf("flags %d size %zu\n", now.ss_flags, now.ss_size);
    return ctor_seen != 2;
}
