// A thread that runs out of stack in the middle of a memory call, handles that on its alternate
// stack, and continues.
// build: -Wno-infinite-recursion
#include "common.h"
#include <setjmp.h>

static sigjmp_buf back;
static char *page;

static void overflowed(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

__attribute__((noinline)) static int deeper(int depth)
{
    volatile char here[64];
    here[0] = (char)depth;
    munlock(page, PAGE);
    return deeper(depth + 1) + here[0];
}

static void *overflow(void *unused)
{
    MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
    on_signal(SIGSEGV, overflowed, SA_ONSTACK);
    volatile int times = 0;
    for (; times < 50; times++)
        if (!sigsetjmp(back, 1)) {
            // The overflow happens at a different place each time.
            volatile char shift[times * 40 + 16];
            shift[0] = 0;
            deeper(shift[0]);
        }
    printf("recovered %d times\n", times);
    return unused;
}

int main(void)
{
    dead_man(20);
    page = plain_pages(PAGE);
    pthread_t thread;
    pthread_attr_t small;
    MUST(pthread_attr_init(&small) == 0);
    MUST(pthread_attr_setstacksize(&small, 256 << 10) == 0);
    MUST(pthread_create(&thread, &small, overflow, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}
