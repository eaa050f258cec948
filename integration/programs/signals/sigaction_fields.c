// Every field of the old action, bad signals, bad pointers, SIG_IGN, SA_RESETHAND.
#include "common.h"

#ifndef SA_RESTORER
#define SA_RESTORER 0x04000000
#endif

// glibc for 64-bit ARM passes on whatever was on the stack; on RISC-V there is none.
#if defined __aarch64__ || defined __riscv
#define RESTORER(action) "unset"
#else
#define RESTORER(action) ((action)->sa_restorer ? "yes" : "no")
#endif

static volatile sig_atomic_t seen;

static void plain(int signal) { seen += signal; }

static void with_info(int signal, siginfo_t *info, void *context)
{
    seen += signal == info->si_signo && context != NULL;
}

static void print_action(const struct sigaction *action)
{
    const char *handler = action->sa_handler == SIG_DFL           ? "SIG_DFL"
                          : action->sa_handler == SIG_IGN         ? "SIG_IGN"
                          : action->sa_handler == plain           ? "plain"
                          : action->sa_sigaction == with_info     ? "with_info"
                                                                  : "?";
    printf(" [%s flags %#x restorer %s mask", handler, (unsigned)action->sa_flags, RESTORER(action));
    for (int signal = 1; signal < 65; signal++)
        if (sigismember(&action->sa_mask, signal) == 1)
            printf(" %d", signal);
    printf("]");
}

static void try(const char *name, int signal, const struct sigaction *new)
{
    struct sigaction old;
    memset(&old, 0x5a, sizeof old);
    errno = 0;
    int result = sigaction(signal, new, &old);
    printf("%s: %d errno %d", name, result, errno);
    if (result == 0)
        print_action(&old);
    printf("\n");
}

// A bad pointer may crash libc itself, so this runs in a child.
static void try_pointers(const char *name, const struct sigaction *new, struct sigaction *old)
{
    fflush(stdout);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        errno = 0;
        int result = sigaction(SIGUSR1, new, old);
        _exit(result == 0 ? 0 : errno);
    }
    int status;
    MUST(waitpid(child, &status, 0) == child);
    printf("%s: status %#x\n", name, status);
}

int main(void)
{
    dead_man(20);
    // The dead man's switch keeps its SIGALRM.
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = plain;
    sigemptyset(&action.sa_mask);
    try("query fresh", SIGUSR1, NULL);
    try("set plain", SIGUSR1, &action);
    try("query plain", SIGUSR1, NULL);

    action.sa_sigaction = with_info;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER;
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaddset(&action.sa_mask, SIGRTMAX);
    try("set with_info", SIGUSR1, &action);
    MUST(raise(SIGUSR1) == 0);
    MUST(set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    MUST(raise(SIGUSR1) == 0);
    try("set again", SIGUSR1, &action);
    MUST(raise(SIGUSR1) == 0);
    printf("seen %d\n", (int)seen);

    action.sa_flags = ~0 & ~(SA_RESETHAND | SA_RESTORER);
    try("all flags", SIGUSR2, &action);
    try("query all flags", SIGUSR2, NULL);

    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_IGN;
    try("ignore", SIGUSR1, &action);
    MUST(raise(SIGUSR1) == 0);
    try("query ignored", SIGUSR1, NULL);

    action.sa_handler = plain;
    action.sa_flags = SA_RESETHAND | SA_ONSTACK;
    try("set once", SIGUSR1, &action);
    seen = 0;
    MUST(raise(SIGUSR1) == 0);
    try("query after once", SIGUSR1, NULL);
    printf("seen %d\n", (int)seen);

    static const int bad[] = {0, -1, 32, 33, 65, 1000, SIGKILL, SIGSTOP};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char name[32];
        snprintf(name, sizeof name, "query %d", bad[i]);
        try(name, bad[i], NULL);
        snprintf(name, sizeof name, "set %d", bad[i]);
        try(name, bad[i], &action);
    }

    try_pointers("bad act", (struct sigaction *)8, NULL);
    try_pointers("bad oldact", NULL, (struct sigaction *)8);
    try_pointers("both bad", (struct sigaction *)8, (struct sigaction *)8);
    try_pointers("none", NULL, NULL);

#ifdef __GLIBC__
    // glibc's other name for the same function.
    extern int __sigaction(int, const struct sigaction *, struct sigaction *);
    struct sigaction old;
    memset(&old, 0x5a, sizeof old);
    printf("__sigaction: %d", __sigaction(SIGUSR1, &action, &old));
    print_action(&old);
    MUST(__sigaction(SIGUSR1, NULL, &old) == 0);
    print_action(&old);
    printf("\n");
#endif
    return 0;
}
