/* Coroutines made by the oldest trick: a coroutine's stack is set as the alternate stack, the
 * handler of a signal saves its context there and returns, and the program later jumps back to it.
 * They take turns, each with variables of its own on its stack. */
// compared: elsewhere
#include "common.h"

#include <setjmp.h>

enum { MANY = 4, TURNS = 50, WORDS = 64 };

static sigjmp_buf center, contexts[MANY];
static volatile int current, is_done[MANY];
static volatile long sums[MANY];

static void coroutine(int me)
{
    volatile long own[WORDS];
    for (int i = 0; i < WORDS; i++)
        own[i] = me * 1000 + i;
    for (volatile int turn = 0; turn < TURNS; turn++) {
        if (sigsetjmp(contexts[me], 0) == 0)
            siglongjmp(center, 1);
        for (int i = 0; i < WORDS; i++)
            sums[me] += own[i] - (me * 1000 + i) + 1;
    }
    is_done[me] = 1;
    siglongjmp(center, 1);
}

static void spring(int signal)
{
    (void)signal;
    int me = current;
    if (sigsetjmp(contexts[me], 0) != 0)
        coroutine(current);
}

static void enter(int which)
{
    current = which;
    if (sigsetjmp(center, 0) == 0)
        siglongjmp(contexts[which], 1);
}

static void *make_and_run(void *argument)
{
    size_t size = *(size_t *)argument;
    memset((void *)sums, 0, sizeof sums);
    memset((void *)is_done, 0, sizeof is_done);
    for (int i = 0; i < MANY; i++) {
        stack_t new = {.ss_sp = malloc(size), .ss_size = size}, old;
        MUST(new.ss_sp != NULL);
        current = i;
        MUST(sigaltstack(&new, &old) == 0);
        raise(SIGUSR2);
        MUST(sigaltstack(&old, NULL) == 0);
        enter(i);
    }
    for (int turn = 0; turn < TURNS; turn++)
        for (volatile int i = 0; i < MANY; i++)
            enter(i);
    int intact = 0;
    for (int i = 0; i < MANY; i++)
        intact += is_done[i] && sums[i] == (long)TURNS * WORDS;
    printf("intact %d of %d\n", intact, MANY);
    return NULL;
}

int main(int argc, char **argv)
{
    dead_man(20);
    MUST(argc == 2);
    size_t size = strtoul(argv[1], NULL, 10);
    on_signal(SIGUSR2, spring, SA_ONSTACK);
    make_and_run(&size);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, make_and_run, &size) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}
