// A handler uses much of the alternate stack, and the next signal interrupts it there. Also: stacks
// whose lowest part cannot be used.
// build: -fno-stack-clash-protection
#include "scenario.h"

enum { KIB = 1024, LARGE = 256 * KIB, SMALL = 64 * KIB };

static char *stack;
static size_t deepest;

// The two frames, and what the handler itself uses, must fit into this.
static void interrupted(int signal)
{
    (void)signal;
    static const size_t depths[] = {0, 4096, 8192, 16384, 24576, 40960};
    for (unsigned i = 0; i < sizeof depths / sizeof *depths && depths[i] <= deepest; i++)
        deliver_deep(depths[i]);
}

static void signal_in_handler(void) { MUST(pthread_kill(pthread_self(), SIGURG) == 0); }

// How the measured signals are sent.
static void (*send)(void) = signal_in_handler;

static void start(size_t size, size_t guard, size_t depth)
{
    deepest = depth;
    stack = plain_pages(size);
    MUST(guard == 0 || mprotect(stack, guard, PROT_NONE) == 0);
    on_signal(SIGURG, interrupted, SA_ONSTACK);
    warm_up(stack, size);
}

// Becomes a user who may lock nothing.
static void may_not_lock(void)
{
    if (geteuid() == 0)
        MUST(setuid(65534) == 0);
    struct rlimit none = {0, 0};
    MUST(setrlimit(RLIMIT_MEMLOCK, &none) == 0);
}

// One side of a fork takes the signals while the other one still exists.
static void after_fork(int in_child)
{
    int hold[2], status;
    char byte;
    MUST(pipe(hold) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (in_child == (child == 0))
        send();
    if (child == 0) {
        close(hold[1]);
        if (!in_child)
            MUST(read(hold[0], &byte, 1) == 0);
        _exit(0);
    }
    close(hold[1]);
    MUST(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void after_dontneed(size_t size, size_t guard)
{
    REPORT(madvise(stack + guard, size - guard, MADV_DONTNEED));
    send();
}

static void *advises(void *size)
{
    REPORT(madvise(stack, (size_t)size, MADV_DONTNEED));
    return NULL;
}

static void by_another(size_t size)
{
    pthread_t other;
    MUST(pthread_create(&other, NULL, advises, (void *)size) == 0);
    MUST(pthread_join(other, NULL) == 0);
    send();
}

static void small(void) { start(SMALL, 0, 40 * KIB); signal_in_handler(); }
static void large(void) { start(LARGE, 0, 40 * KIB); signal_in_handler(); }
static void small_touched(void) { may_not_lock(); small(); }
static void large_touched(void) { may_not_lock(); large(); }
static void large_child(void) { start(LARGE, 0, 40 * KIB); after_fork(1); }
static void large_parent(void) { start(LARGE, 0, 40 * KIB); after_fork(0); }
static void touched_parent(void) { may_not_lock(); start(LARGE, 0, 40 * KIB); after_fork(0); }
static void large_dontneed(void) { start(LARGE, 0, 40 * KIB); after_dontneed(LARGE, 0); }
static void large_dontneed_other(void) { start(LARGE, 0, 40 * KIB); by_another(LARGE); }

// The program counts the guard as part of the stack; a frame fits above it.
static void start_guarded(void)
{
    stack = plain_pages(3 * PAGE);
    MUST(mprotect(stack, PAGE, PROT_NONE) == 0);
    on_signal(SIGUSR2, count, SA_ONSTACK);
    MUST(set_altstack(stack, 3 * PAGE) == 0);
    send = deliver;
    deliver();
}

static void guarded(void) { start_guarded(); }
static void guarded_touched(void) { may_not_lock(); start_guarded(); }
static void guarded_child(void) { start_guarded(); after_fork(1); }
static void guarded_parent(void) { start_guarded(); after_fork(0); }
static void guarded_dontneed(void) { start_guarded(); after_dontneed(3 * PAGE, PAGE); }

static void open_guard(size_t size)
{
    start(size, 32 * KIB, 40 * KIB);
    REPORT(mprotect(stack + size - SMALL, 32 * KIB, PROT_READ | PROT_WRITE));
    signal_in_handler();
}

static void guard_opened(void) { open_guard(SMALL); }
static void guard_opened_touched(void) { may_not_lock(); open_guard(SMALL); }

static void hole_filled(void)
{
    start(SMALL, 32 * KIB, 40 * KIB);
    REPORT(munmap(stack, 32 * KIB));
    REPORT(mmap(stack, 32 * KIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
         MAP_FAILED);
    signal_in_handler();
}

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"small", small},
        {"small-touched", small_touched},
        {"large", large},
        {"large-touched", large_touched},
        {"large-child", large_child},
        {"large-parent", large_parent},
        {"touched-parent", touched_parent},
        {"large-dontneed", large_dontneed},
        {"large-dontneed-other", large_dontneed_other},
        {"guarded", guarded},
        {"guarded-touched", guarded_touched},
        {"guarded-child", guarded_child},
        {"guarded-parent", guarded_parent},
        {"guarded-dontneed", guarded_dontneed},
        {"guard-opened", guard_opened},
        {"guard-opened-touched", guard_opened_touched},
        {"hole-filled", hole_filled},
        {NULL, NULL},
    };
    return run_scenario(argc, argv, all);
}
