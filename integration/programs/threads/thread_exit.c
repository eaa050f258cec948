// Threads come and go without disabling their alternate stacks: by return, pthread_exit,
// cancellation, and detached. Afterwards the stacks' memory is unmapped, as in real programs.
#include "common.h"

enum { ROUNDS = 40, AT_ONCE = 8 };

static int seen;
static int gone;

static void handler(int signal)
{
    (void)signal;
    __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
}

struct job {
    char *stack;
    int way;
};

static void *thread(void *argument)
{
    struct job *job = argument;
    int way = job->way;
    MUST(set_altstack(job->stack, STACK_SIZE) == 0);
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    __atomic_add_fetch(&gone, 1, __ATOMIC_SEQ_CST);
    if (way == 1)
        pthread_exit(NULL);
    if (way == 2)
        for (;;)
            pause();
    return NULL;
}

int main(void)
{
    dead_man(60);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    long before = status_kb("VmLck");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t threads[AT_ONCE];
        struct job jobs[AT_ONCE];
        for (int i = 0; i < AT_ONCE; i++) {
            jobs[i] = (struct job){.stack = fresh_pages(STACK_SIZE), .way = i % 4};
            MUST(pthread_create(&threads[i], NULL, thread, &jobs[i]) == 0);
        }
        while (__atomic_load_n(&gone, __ATOMIC_SEQ_CST) < (round + 1) * AT_ONCE)
            usleep(100);
        for (int i = 0; i < AT_ONCE; i++) {
            if (jobs[i].way == 2)
                MUST(pthread_cancel(threads[i]) == 0);
            if (jobs[i].way == 3)
                MUST(pthread_detach(threads[i]) == 0);
            else
                MUST(pthread_join(threads[i], NULL) == 0);
        }
    }
    // The detached threads may still be ending.
    long threads = 0;
    for (int i = 0; i < 1000 && (threads = status_kb("Threads")) != 1; i++)
        usleep(1000);
    printf("signals %d, threads %ld, VmLck %s\n", seen, threads,
           status_kb("VmLck") == before ? "as at the start" : "leaked");
    return 0;
}
