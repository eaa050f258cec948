/* Defines a name of a collector of garbage that looks for roots in the registered stack. A handler
 * must run there. */
// build: -rdynamic
#include "common.h"

int GC_register_altstack(void);
int GC_register_altstack(void) { return 0; }

static char *volatile here;

static void handler(int signal)
{
    (void)signal;
    here = __builtin_frame_address(0);
}

int main(void)
{
    static char small[8192];
    MUST(set_altstack(small, sizeof small) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    raise(SIGUSR1);
    printf("on its own stack %d\n", here >= small && here < small + sizeof small);
    return 0;
}
