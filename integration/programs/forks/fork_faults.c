// The fewest page faults that a fork costs the forking thread until it returns in the parent, while
// the child waits: fork_faults KIB THREADS. The thread has an unused stack of KIB KiB, and THREADS
// other threads have stacks of their own.
// compared: elsewhere
#include <sys/resource.h>
#include "common.h"

static pthread_barrier_t ready;

static void *park(void *unused)
{
    MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
    return unused;
}

static long faults(void)
{
    struct rusage usage;
    MUST(getrusage(RUSAGE_THREAD, &usage) == 0);
    return usage.ru_minflt;
}

static long faults_of_a_fork(void)
{
    int hold[2];
    MUST(pipe(hold) == 0);
    long before = faults();
    pid_t child = fork();
    long after = faults();
    MUST(child >= 0);
    if (child == 0) {
        char end;
        close(hold[1]);
        _exit(read(hold[0], &end, 1) != 0);
    }
    close(hold[0]);
    close(hold[1]);
    MUST(waitpid(child, NULL, 0) == child);
    return after - before;
}

int main(int argc, char **argv)
{
    dead_man(60);
    MUST(argc == 3);
    size_t own = strtoul(argv[1], NULL, 10) << 10;
    int threads = atoi(argv[2]);
    if (own)
        MUST(set_altstack(plain_pages(own), own) == 0);
    MUST(pthread_barrier_init(&ready, NULL, threads + 1) == 0);
    pthread_attr_t attributes;
    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setstacksize(&attributes, 256 << 10) == 0);
    for (int i = 0; i < threads; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, &attributes, park, NULL) == 0);
    }
    pthread_barrier_wait(&ready);
    // The first forks bind names and find the memory to exclude from copying.
    long least = faults_of_a_fork();
    for (int i = 0; i < 8; i++) {
        long now = faults_of_a_fork();
        least = now < least ? now : least;
    }
    printf("%ld\n", least);
    _exit(fflush(stdout));
}
