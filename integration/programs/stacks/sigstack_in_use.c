// A signal on a stack that glibc's sigstack() set. It passes the top's address as the size too, so
// the stack extends from there to twice that address: only at low addresses is that usable memory.
// build: -Wl,--no-warnings
// only: glibc
#include "common.h"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

#define TOP 0x30000000UL
#define END (2 * TOP)

static volatile sig_atomic_t where;

static void handler(int signal)
{
    char here;
    (void)signal;
    where = (uintptr_t)&here > END - STACK_SIZE && (uintptr_t)&here < END;
}

int main(void)
{
    dead_man(20);
    // Before that: installing a handler for the alternate stack makes the library adopt
    // the stack.
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    char *pages = mmap((void *)(END - STACK_SIZE), STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    MUST(pages == (char *)(END - STACK_SIZE));
    struct sigstack new = {.ss_sp = (void *)TOP, .ss_onstack = 0};
    MUST(sigstack(&new, NULL) == 0);
    MUST(raise(SIGUSR1) == 0);
    printf("on that stack: %d\n", (int)where);
    return 0;
}
