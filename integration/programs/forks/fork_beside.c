// A handler on its alternate stack forks, in every way that libc has, during another thread's fork.
// The child needs that stack. fork_beside MILLISECONDS [WAY]: how long the other fork takes.
// compared: elsewhere
// links: libslow
#include "common.h"

#if defined(__GLIBC__) && __GLIBC__ == 2 && __GLIBC_MINOR__ < 34
#define HAS_BARE_FORK 0
static pid_t _Fork(void) { return -1; }
#else
#define HAS_BARE_FORK 1
#endif

void wait_for_slow_fork(void);
void fork_slowly(unsigned milliseconds);

static long by_fork(void) { return fork(); }
static long by_bare_fork(void) { return _Fork(); }
static long by_number(void) { return syscall(SYS_fork); }
static long by_clone(void) { return syscall(SYS_clone, (long)SIGCHLD, 0L, 0L, 0L, 0L); }

static long by_clone3(void)
{
    // The kernel's struct clone_args: flags, three pointers, the signal, stack, size, tls.
    uint64_t asked[8] = {[4] = SIGCHLD};
    return syscall(SYS_clone3, asked, sizeof asked);
}

static const struct {
    const char *name;
    long (*forks)(void);
    int here;
} ways[] = {
    {"fork", by_fork, 1},
    {"_Fork", by_bare_fork, HAS_BARE_FORK},
    {"SYS_fork", by_number, 1},
    {"SYS_clone", by_clone, 1},
    {"SYS_clone3", by_clone3, 1},
};
static volatile int way, status;
static unsigned takes;

static void fork_here(int signal)
{
    volatile int local = signal;
    long child = ways[way].forks();
    if (child == 0)
        syscall(SYS_exit_group, local == signal ? 0 : 1);
    if (child < 0)
        status = errno == ENOSYS ? 0 : -1;
    else
        MUST(waitpid(child, (int *)&status, 0) == child);
}

static void *slow_thread(void *unused)
{
    fork_slowly(takes);
    return unused;
}

int main(int argc, char **argv)
{
    dead_man(30);
    MUST(argc > 1);
    takes = atoi(argv[1]);
    on_signal(SIGUSR1, fork_here, SA_ONSTACK);
    MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
    for (way = 0; way < (int)(sizeof ways / sizeof ways[0]); way++) {
        pthread_t other;
        if (!ways[way].here || (argc > 2 && strcmp(argv[2], ways[way].name)))
            continue;
        MUST(pthread_create(&other, NULL, slow_thread, NULL) == 0);
        wait_for_slow_fork();
        MUST(raise(SIGUSR1) == 0);
        printf("%s: %#x\n", ways[way].name, status);
        fflush(stdout);
        MUST(pthread_join(other, NULL) == 0);
    }
    return 0;
}
