// errno is what libc left: unchanged by calls that succeed, correct after calls that fail. With the
// argument "no-stderr" descriptor 2 is closed, so that a log line would fail.
#include "common.h"

static void handler(int signal) { (void)signal; }

#define KEEPS(call)                                                                             \
    do {                                                                                        \
        errno = ENOTTY;                                                                         \
        long result = (long)(call);                                                             \
        printf("%s: %ld errno %s\n", #call, result, errno == ENOTTY ? "kept" : strerror(errno)); \
    } while (0)

int main(int argc, char **argv)
{
    dead_man(20);
    char *base = fresh_pages(STACK_SIZE), *bad = fresh_pages(STACK_SIZE), *other = fresh_pages(STACK_SIZE);
    MUST(mprotect(bad, STACK_SIZE, PROT_NONE) == 0);
    if (argc > 1 && !strcmp(argv[1], "no-stderr"))
        close(2);
    stack_t new = {.ss_sp = base, .ss_size = STACK_SIZE}, old;
    stack_t none = {.ss_flags = SS_DISABLE};
    stack_t prot_none = {.ss_sp = bad, .ss_size = STACK_SIZE};
    stack_t second = {.ss_sp = other, .ss_size = STACK_SIZE};
    stack_t small = {.ss_sp = base, .ss_size = 1};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK}, was;
    KEEPS(sigaction(SIGUSR1, &action, NULL));
    KEEPS(sigaltstack(&new, NULL));
    KEEPS(sigaltstack(NULL, &old));
    KEEPS(sigaction(SIGUSR1, &action, &was));
    KEEPS(sigaction(SIGUSR1, NULL, &was));
    KEEPS(sigaltstack(&second, &old));
    KEEPS(sigaltstack(&prot_none, &old));
    KEEPS(sigaction(SIGUSR2, &action, &was));
    KEEPS(sigaltstack(&small, &old));
    KEEPS(sigaction(99, &action, &was));
    KEEPS(sigaltstack(&none, &old));
    KEEPS(syscall(SYS_sigaltstack, &new, NULL));
    KEEPS(syscall(SYS_sigaltstack, &small, NULL));
    KEEPS(syscall(SYS_sigaltstack, &none, NULL));
    return 0;
}
