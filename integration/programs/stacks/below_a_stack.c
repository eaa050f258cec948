// Whether anything is mapped close below a stack without a guard while threads register stacks: an
// overflow would run into it, or would not be recognized as one.
#include "common.h"

#define THREADS 48
#define CLOSE (1UL << 20)

static pthread_barrier_t together;

static void *registers(void *stack)
{
    pthread_barrier_wait(&together);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    pthread_barrier_wait(&together);
    return NULL;
}

int main(void)
{
    dead_man(60);
    MUST(pthread_barrier_init(&together, NULL, THREADS + 1) == 0);
    pthread_attr_t small;
    MUST(pthread_attr_init(&small) == 0);
    MUST(pthread_attr_setstacksize(&small, 16 * PAGE) == 0);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_create(&threads[i], &small, registers, plain_pages(STACK_SIZE)) == 0);
    // Too large for any hole. The kernel first fills the holes from the top, then continues below.
    char *stack = plain_pages(1UL << 30), *last;
    do
        last = plain_pages(PAGE);
    while (last + PAGE != stack);
    MUST(munmap(last, PAGE) == 0);
    pthread_barrier_wait(&together);
    pthread_barrier_wait(&together);
    int mapped = 0;
    for (char *page = stack - CLOSE; page < stack; page += PAGE)
        mapped += msync(page, PAGE, MS_ASYNC) == 0;
    for (int i = 0; i < THREADS; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    printf("%d pages close below the stack\n", mapped);
    return 0;
}
