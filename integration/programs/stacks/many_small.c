/* Many threads at a time, each with a small stack of its own on which it has taken a signal. Prints
 * how much memory they take together, in KiB. */
// compared: elsewhere
#include "common.h"

enum { SIZE = 8192 };

static pthread_barrier_t all;

static void handler(int signal)
{
    (void)signal;
}

static void *run(void *stack)
{
    MUST(set_altstack(stack, SIZE) == 0);
    raise(SIGUSR1);
    pthread_barrier_wait(&all);
    pthread_barrier_wait(&all);
    return NULL;
}

static long resident(void)
{
    char line[256];
    long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    MUST(status);
    while (fgets(line, sizeof line, status))
        sscanf(line, "VmRSS: %ld", &kib);
    fclose(status);
    return kib;
}

int main(int argc, char **argv)
{
    dead_man(120);
    MUST(argc == 2);
    int count = atoi(argv[1]);
    char *stacks = fresh_pages((size_t)count * SIZE);
    // Whole small pages only, whatever the machine prefers.
    madvise(stacks, (size_t)count * SIZE, MADV_NOHUGEPAGE);
    pthread_t *threads = calloc(count, sizeof *threads);
    pthread_attr_t small;
    MUST(threads && pthread_attr_init(&small) == 0);
    MUST(pthread_attr_setstacksize(&small, 64 * 1024) == 0);
    MUST(pthread_barrier_init(&all, NULL, count + 1) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    long before = resident();
    for (int i = 0; i < count; i++)
        MUST(pthread_create(&threads[i], &small, run, stacks + (size_t)i * SIZE) == 0);
    pthread_barrier_wait(&all);
    printf("%ld\n", resident() - before);
    pthread_barrier_wait(&all);
    for (int i = 0; i < count; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    return 0;
}
