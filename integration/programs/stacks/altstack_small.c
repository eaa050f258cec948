/* A stack of SIGSTKSZ bytes, as in old headers. The bytes below it must not change. */
#include "common.h"

#include <string.h>

enum { OLD_SIGSTKSZ = 8192, BELOW = 4096 };

static char *stack;
static volatile int inside;

static void handler(int signal)
{
    (void)signal;
    stack_t now;
    char here[64];
    memset(here, 1, sizeof here);
    sigaltstack(NULL, &now);
    printf("in the handler: sees its own %d, on the stack %d\n", now.ss_sp == stack, now.ss_flags == SS_ONSTACK);
    inside = here >= stack && here < stack + OLD_SIGSTKSZ;
}

static void report(const char *when)
{
    stack_t now;
    sigaltstack(NULL, &now);
    printf("%s: own %d, size %zu, flags %d\n", when, now.ss_sp == stack, now.ss_size, now.ss_flags);
}

int main(int argc, char **argv)
{
    static char memory[BELOW + OLD_SIGSTKSZ];
    stack = memory + BELOW;
    memset(memory, 0x5a, BELOW);

    stack_t new = {.ss_sp = stack, .ss_size = OLD_SIGSTKSZ}, old;
    printf("set: %d\n", sigaltstack(&new, NULL));
    report("then");
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);

    new.ss_flags = SS_DISABLE;
    printf("disable: %d\n", sigaltstack(&new, &old));
    printf("before that: own %d, size %zu, flags %d\n", old.ss_sp == stack, old.ss_size, old.ss_flags);
    report("now");
    int kept = 1;
    for (int i = 0; i < BELOW; i++)
        kept &= memory[i] == 0x5a;
    printf("below kept %d\n", kept);
    if (argc > 1 && strcmp(argv[1], "where") == 0)
        printf("inside %d\n", inside);
    return 0;
}
