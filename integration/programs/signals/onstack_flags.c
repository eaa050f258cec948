// What a program reads back of the handlers that it installs, and where they run: on an alternate
// stack or not.
// compared: elsewhere
#include "common.h"

static volatile int on_stack;

static void first(int signal)
{
    stack_t now;
    (void)signal;
    on_stack = sigaltstack(NULL, &now) == 0 && now.ss_flags & SS_ONSTACK;
}

static void second(int signal) { first(signal); }
static void third(int signal) { first(signal); }

struct kernel_action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

// Through syscall(2), which the library sees as it sees sigaction.
static int kernel_action(int signal, const struct kernel_action *new, struct kernel_action *old)
{
    return syscall(SYS_rt_sigaction, signal, new, old, 8);
}

static void where(const char *when, int signal)
{
    on_stack = -1;
    MUST(raise(signal) == 0);
    fprintf(stderr, "%s: on the stack %d\n", when, on_stack);
}

static void install(const char *what, int signal, void (*handler)(int), int flags)
{
    struct sigaction new, old;
    memset(&new, 0, sizeof new), memset(&old, 0x5a, sizeof old);
    new.sa_handler = handler, new.sa_flags = flags;
    sigaddset(&new.sa_mask, SIGUSR2);
    errno = 0;
    int result = sigaction(signal, &new, &old);
    printf("%s: %d, errno %d", what, result, errno);
    if (result == 0)
        printf(", before: handler %d, flags %x, mask %d",
               old.sa_handler == first    ? 1
               : old.sa_handler == second ? 2
               : old.sa_handler == third  ? 3
                                          : 0,
               old.sa_flags, sigismember(&old.sa_mask, SIGUSR2));
    printf("\n");
}

static void read_back(const char *when, int signal)
{
    struct sigaction now;
    struct kernel_action raw;
    MUST(sigaction(signal, NULL, &now) == 0 && kernel_action(signal, NULL, &raw) == 0);
    printf("%s: flags %x, by syscall %lx, same handler %d\n", when, now.sa_flags,
           raw.flags & ~0x04000000UL, raw.handler == (void *)now.sa_handler);
}

int main(void)
{
    char *stack = fresh_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    read_back("at first", SIGSEGV);
    install("without", SIGSEGV, first, 0);
    read_back("then", SIGSEGV);
    where("without", SIGSEGV);
    install("another", SIGSEGV, second, SA_RESTART | SA_NODEFER);
    install("the same with the flag", SIGSEGV, second, SA_ONSTACK);
    read_back("then", SIGSEGV);
    where("with", SIGSEGV);
    install("the same without", SIGSEGV, second, 0);
    read_back("then", SIGSEGV);
    install("ignored", SIGSEGV, SIG_IGN, 0);
    read_back("then", SIGSEGV);
    install("once", SIGSEGV, third, SA_RESETHAND);
    where("once", SIGSEGV);
    read_back("after it ran", SIGSEGV);
    install("once with the flag", SIGSEGV, second, SA_ONSTACK | SA_RESETHAND);
    where("once with", SIGSEGV);
    read_back("after it ran", SIGSEGV);
    install("default", SIGSEGV, SIG_DFL, 0);
    printf("signal: %d\n", signal(SIGSEGV, first) == SIG_DFL);
    read_back("then", SIGSEGV);
    where("signal", SIGSEGV);
    printf("signal again: %d\n", signal(SIGSEGV, second) == first);
    struct kernel_action raw;
    MUST(kernel_action(SIGSEGV, NULL, &raw) == 0);
    raw.handler = third, raw.flags &= ~(unsigned long)SA_ONSTACK;
    MUST(kernel_action(SIGSEGV, &raw, NULL) == 0);
    read_back("by syscall", SIGSEGV);
    where("by syscall", SIGSEGV);
    install("not wanted", SIGUSR1, first, 0);
    read_back("then", SIGUSR1);
    where("not wanted", SIGUSR1);
    install("no such signal", 65, first, 0);
    install("not allowed", SIGKILL, first, 0);
    fflush(stdout);
    pid_t child = vfork();
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        _exit(0);
    }
    MUST(waitpid(child, NULL, 0) == child);
    read_back("after vfork", SIGSEGV);
    return 0;
}
