// Threads that are cancelled while they make hooked calls: at a cancellation point or, with the
// argument "async", anywhere.
// compared: elsewhere
#include "common.h"
#include <sched.h>

#define ROUNDS 300

static int type;
static volatile int ready;
static volatile int bad;

static void *calls(void *argument)
{
    char *stack = argument;
    int old;
    pthread_setcanceltype(type, &old);
    for (;;) {
        if (set_altstack(stack, STACK_SIZE) != 0 || madvise(stack, STACK_SIZE, MADV_DONTNEED) != 0
            || mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE) != 0)
            bad = __LINE__;
        ready = 1;
        pthread_testcancel();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    dead_man(60);
    int async = argc > 1 && !strcmp(argv[1], "async");
    type = async ? PTHREAD_CANCEL_ASYNCHRONOUS : PTHREAD_CANCEL_DEFERRED;
    char *stacks = fresh_pages(2 * STACK_SIZE);
    int cancelled = 0;
    long before = status_kb("VmLck");
    for (int i = 0; i < ROUNDS; i++) {
        pthread_t threads[2];
        for (int j = 0; j < 2; j++) {
            ready = 0;
            MUST(pthread_create(&threads[j], NULL, calls, stacks + j * STACK_SIZE) == 0);
            while (!ready)
                sched_yield();
        }
        for (int j = 0; j < 2; j++) {
            void *result;
            MUST(pthread_cancel(threads[j]) == 0);
            MUST(pthread_join(threads[j], &result) == 0);
            cancelled += result == PTHREAD_CANCELED;
        }
    }
    printf("cancelled %d bad line %d locked %ld kB more\n", cancelled, bad,
           status_kb("VmLck") - before);
    return 0;
}
