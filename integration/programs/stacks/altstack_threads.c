// N threads (64, or the first argument), each with its own alternate stack (the second argument is
// its size in bytes). Each is sent a signal.
#include "common.h"

static int seen;
static size_t size = STACK_SIZE;
static pthread_barrier_t ready, done;

static void handler(int signal)
{
    (void)signal;
    __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
}

static void *thread(void *stack)
{
    MUST(set_altstack(stack, size) == 0);
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&done);
    MUST(drop_altstack() == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 64;
    if (argc > 2)
        size = strtoul(argv[2], NULL, 10);
    dead_man(60);
    pthread_t *threads = calloc(count, sizeof *threads);
    MUST(threads);
    pthread_barrier_init(&ready, NULL, count + 1);
    pthread_barrier_init(&done, NULL, count + 1);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    for (int i = 0; i < count; i++)
        MUST(pthread_create(&threads[i], NULL, thread, fresh_pages(size)) == 0);
    pthread_barrier_wait(&ready);
    for (int i = 0; i < count; i++)
        MUST(pthread_kill(threads[i], SIGUSR1) == 0);
    while (__atomic_load_n(&seen, __ATOMIC_SEQ_CST) < count)
        usleep(1000);
    pthread_barrier_wait(&done);
    for (int i = 0; i < count; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    printf("threads: %d, signals: %d\n", count, seen);
    return seen != count;
}
