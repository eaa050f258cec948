// The cost of a fork with N registered stacks, each of a different thread: nanoseconds of CPU time
// of the forking thread, and of wall time until the child has ended (medians). Arguments: N, the
// number of forks, and "malloc" for stacks that share pages with the heap.
// compared: elsewhere
#include <time.h>
#include "common.h"

static pthread_barrier_t ready, done;
static int from_heap;

static void *holds_stack(void *unused)
{
    char *stack;
    if (from_heap)
        stack = malloc(STACK_SIZE);
    else
        stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(stack && stack != MAP_FAILED && set_altstack(stack, STACK_SIZE) == 0);
    memset(stack, 1, STACK_SIZE);
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&done);
    return unused;
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    int stacks = argc > 1 ? atoi(argv[1]) : 0;
    int rounds = argc > 2 ? atoi(argv[2]) : 20;
    from_heap = argc > 3 && !strcmp(argv[3], "malloc");
    dead_man(300);
    pthread_t *ids = calloc((size_t)stacks + 1, sizeof *ids);
    double *forks = calloc((size_t)rounds, sizeof *forks), *wholes = calloc((size_t)rounds, sizeof *wholes);
    pthread_attr_t attributes;
    MUST(ids && forks && wholes && pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setstacksize(&attributes, 64 * 1024) == 0);
    pthread_barrier_init(&ready, NULL, (unsigned)stacks + 1);
    pthread_barrier_init(&done, NULL, (unsigned)stacks + 1);
    for (int i = 0; i < stacks; i++)
        MUST(pthread_create(&ids[i], &attributes, holds_stack, NULL) == 0);
    pthread_barrier_wait(&ready);
    for (int i = 0; i < rounds; i++) {
        int status;
        double start = now(CLOCK_MONOTONIC), start_here = now(CLOCK_THREAD_CPUTIME_ID);
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0)
            _exit(0);
        forks[i] = now(CLOCK_THREAD_CPUTIME_ID) - start_here;
        MUST(waitpid(child, &status, 0) == child && status == 0);
        wholes[i] = now(CLOCK_MONOTONIC) - start;
    }
    pthread_barrier_wait(&done);
    for (int i = 0; i < stacks; i++)
        MUST(pthread_join(ids[i], NULL) == 0);
    qsort(forks, (size_t)rounds, sizeof *forks, ascending);
    qsort(wholes, (size_t)rounds, sizeof *wholes, ascending);
    printf("stacks %d fork_cpu_ns %.0f fork_and_exit_ns %.0f\n", stacks, forks[rounds / 2], wholes[rounds / 2]);
    return 0;
}
