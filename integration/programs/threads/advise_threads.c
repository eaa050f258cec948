// Threads that discard the pages of their own alternate stacks, all at the same time. The stacks
// are not whole mappings, so they are not proven.
#include "common.h"

#define THREADS 4
#define ROUNDS 5000

static char *stacks;
static volatile int refused, kept;

static void *advise(void *argument)
{
    char *stack = stacks + (size_t)argument * STACK_SIZE;
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        stack[0] = 1;
        if (madvise(stack, STACK_SIZE, MADV_DONTNEED) != 0)
            refused = errno;
        if (stack[0] != 0)
            kept = 1;
    }
    MUST(drop_altstack() == 0);
    return NULL;
}

int main(void)
{
    dead_man(60);
    stacks = fresh_pages(THREADS * STACK_SIZE);
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], NULL, advise, (void *)i) == 0);
    for (size_t i = 0; i < THREADS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    printf("refused with errno %d, kept %d, locked %ld pages\n", refused, kept,
           locked_pages(stacks, THREADS * STACK_SIZE));
    return 0;
}
