// compared: elsewhere
/* A handler on an alternate stack of ARG1 bytes above a guard page. It uses ARG2 bytes of it. With
 * "forced", it was installed for the ordinary stack, and somebody else adds SA_ONSTACK, as Go does. */
#include "common.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t used;
static volatile sig_atomic_t delivered;

static void handler(int signal)
{
    (void)signal;
    char here[used + 1];
    memset(here, 1, sizeof here);
    __asm__ volatile("" : : "r"(here) : "memory");
    delivered++;
}

int main(int argc, char **argv)
{
    enum { GUARD = 65536, MOST = 65536 };
    size_t size = strtoul(argv[1], NULL, 10);
    used = strtoul(argv[2], NULL, 10);
    int forced = argc > 3 && strcmp(argv[3], "forced") == 0;

    char *memory = mmap(NULL, GUARD + MOST, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(memory, GUARD, PROT_NONE);
    struct sigaction action = {.sa_handler = handler, .sa_flags = forced ? 0 : SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    stack_t stack = {.ss_sp = memory + GUARD, .ss_size = size};
    if (sigaltstack(&stack, NULL) != 0) {
        printf("refused: %s\n", errno == ENOMEM ? "ENOMEM" : "another error");
        return 0;
    }
    if (forced) {
        sigaction(SIGUSR1, NULL, &action);
        action.sa_flags |= SA_ONSTACK;
        sigaction(SIGUSR1, &action, NULL);
    }
    raise(SIGUSR1);
    printf("delivered: %d\n", delivered);
    return 0;
}
