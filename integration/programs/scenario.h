// Shared by the programs with a scenario argument. SIGUSR1 warms up a stack; a test counts the page
// faults at the deliveries of SIGUSR2.
#ifndef SCENARIO_H
#define SCENARIO_H

#include "common.h"

struct scenario {
    const char *name;
    void (*run)(void);
};

// Assembly refers to `measured` by name.
static int warmed, measured __attribute__((used));

static void count(int signal)
{
    __atomic_add_fetch(signal == SIGUSR1 ? &warmed : &measured, 1, __ATOMIC_SEQ_CST);
}

__attribute__((unused)) static int measured_so_far(void)
{
    return __atomic_load_n(&measured, __ATOMIC_SEQ_CST);
}

// Sends both signals to the calling thread, on `stack` (by `count`), which has then been used once.
__attribute__((unused)) static void warm_up(void *stack, size_t size)
{
    on_signal(SIGUSR1, count, SA_ONSTACK);
    on_signal(SIGUSR2, count, SA_ONSTACK);
    MUST(set_altstack(stack, size) == 0);
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
}

__attribute__((unused)) static void deliver(void)
{
    int before = measured_so_far();
    MUST(pthread_kill(pthread_self(), SIGUSR2) == 0);
    MUST(measured_so_far() > before);
}

// SIGUSR2 with the stack pointer `depth` bytes lower, just above the start of a page: the frame of
// a handler without SA_ONSTACK lies there and on the page below, where nothing else is touched.
__attribute__((unused, noinline)) static void deliver_deep(size_t depth)
{
    enum { ROOM = 512 };
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    volatile char *room = __builtin_alloca(here % PAGE + PAGE - ROOM + depth / PAGE * PAGE);
    room[0] = 1;
    MUST(syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), SIGUSR2) == 0);
}

// Prints what a call returned, and errno if it failed: the same with and without the library.
__attribute__((unused)) static void report(const char *call, long result)
{
    int error = errno;
    if (result == -1)
        printf("%s: -1 %s\n", call, strerror(error));
    else
        printf("%s: %s\n", call, result == 0 ? "0" : "success");
    fflush(stdout);
}

// Prints the result of a call, which starts with errno cleared.
#define REPORT(call) (errno = 0, report(#call, (long)(call)))

// Functions that only newer glibcs have. musl is taken as it is.
#ifdef __GLIBC__
#define SINCE_GLIBC(minor) __GLIBC_PREREQ(2, minor)
#else
#define SINCE_GLIBC(minor) 1
#endif

// This libc lacks something that the scenario needs.
__attribute__((unused, noreturn)) static void not_here(void) { exit(77); }

// Runs the scenario named by the first argument; without an argument, lists all.
static int run_scenario(int argc, char **argv, const struct scenario *all)
{
    // stdio must not allocate later.
    static char buffer[BUFSIZ];
    setvbuf(stdout, buffer, _IOLBF, sizeof buffer);
    dead_man(60);
    for (; all->name; all++) {
        if (argc < 2) {
            puts(all->name);
        } else if (!strcmp(all->name, argv[1])) {
            all->run();
            printf("measured: %d\n", measured_so_far());
            return 0;
        }
    }
    if (argc >= 2)
        fprintf(stderr, "no scenario %s\n", argv[1]);
    return argc < 2 ? 0 : 98;
}

// A thread with its own warmed-up stack (mapped and filled), which works until `quit`.
struct worker {
    pthread_t thread;
    char *stack;
    int ready, storm, turns;
};

static int quit_workers;

static void *work(void *argument)
{
    struct worker *worker = argument;
    MUST(set_altstack(worker->stack, STACK_SIZE) == 0);
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    __atomic_store_n(&worker->ready, 1, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&quit_workers, __ATOMIC_SEQ_CST)) {
        if (worker->storm)
            deliver();
        else
            usleep(200);
        __atomic_add_fetch(&worker->turns, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

__attribute__((unused)) static void start_worker(struct worker *worker, char *stack, int storm)
{
    on_signal(SIGUSR1, count, SA_ONSTACK | SA_RESTART);
    on_signal(SIGUSR2, count, SA_ONSTACK | SA_RESTART);
    *worker = (struct worker){.stack = stack, .storm = storm};
    MUST(pthread_create(&worker->thread, NULL, work, worker) == 0);
    while (!__atomic_load_n(&worker->ready, __ATOMIC_SEQ_CST))
        usleep(100);
}

// Returns once the worker is off its stack again.
__attribute__((unused)) static void deliver_to(struct worker *worker)
{
    int before = measured_so_far();
    MUST(pthread_kill(worker->thread, SIGUSR2) == 0);
    while (measured_so_far() == before)
        usleep(100);
    int turns = __atomic_load_n(&worker->turns, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&worker->turns, __ATOMIC_SEQ_CST) == turns)
        usleep(100);
}

__attribute__((unused)) static void end_worker(struct worker *worker)
{
    __atomic_store_n(&quit_workers, 1, __ATOMIC_SEQ_CST);
    MUST(pthread_join(worker->thread, NULL) == 0);
}

#endif
