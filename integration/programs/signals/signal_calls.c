// One signal call of each kind in libc, between two calls of getppid(2), which a counter of system
// calls can find.
#include "common.h"

static void handler(int signal) { (void)signal; }

int main(void)
{
    dead_man(20);
    char *stack = fresh_pages(STACK_SIZE);
    stack_t new = {.ss_sp = stack, .ss_size = STACK_SIZE}, none = {.ss_flags = SS_DISABLE}, old;
    struct sigaction action, was;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = SA_ONSTACK;
    int failed = 0;
    getppid();
    failed |= sigaltstack(&new, NULL);
    failed |= sigaltstack(NULL, &old);
    failed |= sigaction(SIGUSR1, &action, &was);
    failed |= sigaction(SIGUSR1, NULL, &was);
    failed |= sigaltstack(&none, &old);
    getppid();
    printf("failed: %d\n", failed);
    return failed != 0;
}
