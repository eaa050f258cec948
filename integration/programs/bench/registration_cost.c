// The nanoseconds of one sigaltstack(2) while the number of stacks in the first argument is live.
//
// Their threads sleep. The main thread then sets two stacks of its own in turn; the second argument
// is the number of calls. Each call releases the previous stack.
// compared: elsewhere
#include "common.h"
#include <time.h>

// Two pages: ten thousand of them are less than the most that the library locks.
#define SMALL (2 * PAGE)

static pthread_barrier_t ready, done;

static void *owner(void *stack)
{
    MUST(set_altstack(stack, SMALL) == 0);
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&done);
    return NULL;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv)
{
    int live = argc > 1 ? atoi(argv[1]) : 10;
    int times = argc > 2 ? atoi(argv[2]) : 10000;
    dead_man(120);
    pthread_t *threads = calloc(live + 1, sizeof *threads);
    pthread_attr_t small;
    MUST(threads && pthread_attr_init(&small) == 0);
    MUST(pthread_attr_setstacksize(&small, 64 << 10) == 0);
    pthread_barrier_init(&ready, NULL, live + 1);
    pthread_barrier_init(&done, NULL, live + 1);
    for (int i = 0; i < live; i++)
        MUST(pthread_create(&threads[i], &small, owner, fresh_pages(SMALL)) == 0);
    pthread_barrier_wait(&ready);

    char *two[] = {fresh_pages(SMALL), fresh_pages(SMALL)};
    for (int i = 0; i < 100; i++)
        MUST(set_altstack(two[i & 1], SMALL) == 0);
    double start = now();
    for (int i = 0; i < times; i++)
        MUST(set_altstack(two[i & 1], SMALL) == 0);
    printf("%d live stacks: %.0f ns each\n", live, (now() - start) / times);

    pthread_barrier_wait(&done);
    for (int i = 0; i < live; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    return 0;
}
