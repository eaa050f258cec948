// What a call costs beside many live alternate stacks: bench_live_stacks set|fork THREADS ROUNDS.
// Each parked thread has one of its own. Prints the least and the median number of nanoseconds.
// compared: elsewhere
#include "bench.h"

static pthread_barrier_t parked;

static void *park(void *stack)
{
    MUST(set_altstack(stack, 8192) == 0);
    pthread_barrier_wait(&parked);
    for (;;)
        pause();
}

static char *own[2];

static void replace_stack(void)
{
    static unsigned turn;
    MUST(set_altstack(own[turn++ % 2], 8192) == 0);
}

// The child's end is waited for, so that the next round does not share the processor with it;
// the time is that of the fork alone.
static pid_t forked;

static void fork_child(void)
{
    forked = fork();
    MUST(forked >= 0);
    if (forked == 0)
        _exit(0);
}

int main(int argc, char **argv)
{
    dead_man(120);
    MUST(argc == 4);
    void (*call)(void) = strcmp(argv[1], "fork") ? replace_stack : fork_child;
    int threads = atoi(argv[2]), rounds = atoi(argv[3]);
    MUST(threads >= 0 && rounds > 0);

    MUST(pthread_barrier_init(&parked, NULL, threads + 1) == 0);
    pthread_attr_t small;
    pthread_attr_init(&small);
    MUST(pthread_attr_setstacksize(&small, 32768) == 0);
    // One mapping for all, as a thread pool would have: the count of mappings is limited.
    char *stacks = mmap(NULL, 8192UL * (threads + 2), PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(stacks != MAP_FAILED);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, &small, park, stacks + 8192UL * i) == 0);
    }
    pthread_barrier_wait(&parked);
    for (int i = 0; i < 2; i++)
        own[i] = stacks + 8192UL * (threads + i);

    double *each = calloc(rounds, sizeof *each);
    MUST(each);
    for (int round = 0; round < rounds; round++) {
        int64_t start = now();
        call();
        each[round] = now() - start;
        if (forked > 0)
            MUST(waitpid(forked, NULL, 0) == forked);
    }
    report(each, rounds);
    // Not exit: there is nothing to tidy up in ten thousand threads.
    _exit(fflush(stdout));
}
