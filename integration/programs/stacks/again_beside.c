// A thread sets the same alternate stack again and again while another thread gives advice on it
// that the kernel refuses for locked memory. So does a thread that sets two stacks in turn. Prints
// how often the advice was refused.
#include "common.h"

#ifndef MADV_COLD // Linux 5.4
#define MADV_COLD 20
#endif

#define ROUNDS 20000

static char *stack;
static volatile int over;

static void *set(void *other)
{
    for (unsigned i = 0; !over; i++)
        MUST(set_altstack(other && i % 2 ? other : stack, STACK_SIZE) == 0);
    MUST(drop_altstack() == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argv;
    dead_man(60);
    stack = plain_pages(STACK_SIZE);
    char *other = argc > 1 ? plain_pages(STACK_SIZE) : NULL;
    int known = raw_call(SYS_madvise, (long)stack, STACK_SIZE, MADV_COLD, 0) == 0;
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, set, other) == 0);
    int refused = 0;
    for (int i = 0; i < ROUNDS && known; i++)
        refused += madvise(stack, STACK_SIZE, MADV_COLD) != 0;
    over = 1;
    MUST(pthread_join(thread, NULL) == 0);
    printf("refused: %d, locked: %ld\n", refused, locked_pages(stack, STACK_SIZE));
    return 0;
}
