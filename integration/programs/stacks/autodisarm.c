// SS_AUTODISARM: while a handler runs on such a stack, the stack is disabled, and the handler may
// set another. When the handler returns, the kernel restores the first. With the argument "locked"
// it prints to stderr what is locked.
#include "common.h"

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static char *first, *second, *third;
static int nested, shows_locks;

static int set(char *stack, unsigned flags)
{
    stack_t new = {.ss_sp = stack, .ss_size = STACK_SIZE, .ss_flags = flags};
    return sigaltstack(&new, NULL);
}

static void report(const char *when)
{
    stack_t now;
    int result = sigaltstack(NULL, &now);
    printf("%s: %d, in force: %s, flags %#x\n", when, result,
           now.ss_flags & SS_DISABLE  ? "none"
           : now.ss_sp == first       ? "first"
           : now.ss_sp == second      ? "second"
                                      : "third",
           now.ss_flags);
    if (shows_locks)
        fprintf(stderr, "%s: locked %ld %ld %ld\n", when, locked_pages(first, STACK_SIZE),
                locked_pages(second, STACK_SIZE), locked_pages(third, STACK_SIZE));
}

static void on_second(int signal)
{
    char here;
    (void)signal;
    printf("on the second: %d\n", &here >= second && &here < second + STACK_SIZE);
    // Not disarmed, so it cannot be changed.
    printf("set: %d errno %d\n", set(third, 0), errno);
}

static void on_first(int signal)
{
    char here;
    (void)signal;
    printf("on the first: %d\n", &here >= first && &here < first + STACK_SIZE);
    if (nested) {
        report("before a second");
        MUST(set(second, 0) == 0);
        report("with a second");
        MUST(raise(SIGUSR2) == 0);
        report("after a signal on the second");
        if (nested == 2)
            MUST(drop_altstack() == 0);
        report("at the end of the handler");
    }
}

int main(int argc, char **argv)
{
    shows_locks = argc > 1 && !strcmp(argv[1], "locked");
    dead_man(20);
    setvbuf(stdout, NULL, _IONBF, 0);
    first = fresh_pages(STACK_SIZE), second = fresh_pages(STACK_SIZE), third = fresh_pages(STACK_SIZE);
    // With SA_SIGINFO: the other frame of 32-bit programs does not save the stack, so nothing disarms it.
    on_signal(SIGUSR1, on_first, SA_ONSTACK | SA_SIGINFO);
    on_signal(SIGUSR2, on_second, SA_ONSTACK | SA_SIGINFO);
    for (nested = 0; nested < 3; nested++) {
        MUST(set(first, SS_AUTODISARM) == 0);
        MUST(raise(SIGUSR1) == 0);
        report("back");
        MUST(raise(SIGUSR1) == 0);
        report("back again");
        MUST(set(third, 0) == 0);
        report("with a third");
        MUST(set(first, SS_AUTODISARM) == 0);
        MUST(raise(SIGUSR1) == 0);
        MUST(drop_altstack() == 0);
        report("without any");
    }
    return 0;
}
