// The place for the old stack is bad: the kernel says EFAULT, and sets the new stack all the same. Prints
// what the program sees, whether its handler runs there, and, with "faults", whether the frame faults.
// The argument is the stack's size.
// compared: elsewhere
#include "common.h"

static char *stack;
static size_t size;
static const char *volatile where;

static void handler(int signal)
{
    (void)signal;
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    where = now.ss_flags & SS_ONSTACK ? "on it" : "on the ordinary stack";
}

static void nothing(int signal) { (void)signal; }

static void tell(const char *what, int result, int error)
{
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    int is_own = now.ss_sp == stack && now.ss_size == size && now.ss_flags == 0;
    const char *seen = now.ss_flags & SS_DISABLE ? "none" : is_own ? "its own" : "another";
    MUST(raise(SIGUSR1) == 0);
    printf("%s: %d errno %d, seen: %s, the handler is %s\n", what, result, error, seen, where);
    fflush(stdout);
}

static long faults_of_a_signal(void)
{
    struct rusage before, after;
    MUST(getrusage(RUSAGE_THREAD, &before) == 0);
    MUST(raise(SIGUSR2) == 0);
    MUST(getrusage(RUSAGE_THREAD, &after) == 0);
    return after.ru_minflt - before.ru_minflt;
}

int main(int argc, char **argv)
{
    dead_man(20);
    MUST(argc > 1);
    size = strtoul(argv[1], NULL, 10);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    on_signal(SIGUSR2, nothing, SA_ONSTACK);
    stack = fresh_pages(size);
    stack_t new = {.ss_sp = stack, .ss_size = size}, none = {.ss_flags = SS_DISABLE};
    stack_t *bad = (stack_t *)8;
    faults_of_a_signal();
    errno = 0;
    int result = sigaltstack(&new, bad), error = errno;
    if (argc > 2)
        printf("the frame faults: %s\n", faults_of_a_signal() ? "yes" : "no");
    tell("set", result, error);
    errno = 0;
    result = sigaltstack(&new, bad), error = errno;
    tell("set again", result, error);
    errno = 0;
    result = sigaltstack(&none, bad), error = errno;
    tell("disabled", result, error);
    // Nothing is lost, or in the way.
    errno = 0;
    result = set_altstack(stack, size), error = errno;
    tell("set well", result, error);
    return 0;
}
