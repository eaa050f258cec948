// Threads (10,000, or the first argument) come and go, a few at a time. Each has an alternate stack
// that it never disables, and they end in different ways. Then VmLck must be back to its old value.
// compared: elsewhere
#include "common.h"

#define AT_ONCE 16

static int seen;

static void handler(int signal)
{
    (void)signal;
    __atomic_add_fetch(&seen, 1, __ATOMIC_SEQ_CST);
}

static void *thread(void *number)
{
    size_t way = (size_t)number;
    void *stack = way & 1 ? fresh_pages(STACK_SIZE) : malloc(STACK_SIZE);
    MUST(stack && set_altstack(stack, STACK_SIZE) == 0);
    MUST(pthread_kill(pthread_self(), SIGUSR1) == 0);
    if (way % 4 == 1)
        pthread_exit(stack);
    if (way % 4 == 2) {
        pthread_cancel(pthread_self());
        pthread_testcancel();
    }
    return stack;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 10000;
    dead_man(300);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    // The first round fills libc's caches and arenas.
    long before = -1, most = 0;
    for (int round = 0; round < count / AT_ONCE; round++) {
        pthread_t threads[AT_ONCE];
        for (size_t i = 0; i < AT_ONCE; i++)
            MUST(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
        for (size_t i = 0; i < AT_ONCE; i++) {
            void *stack;
            MUST(pthread_join(threads[i], &stack) == 0);
            if (stack == PTHREAD_CANCELED)
                continue; // its memory leaks, its lock must not
            if (i & 1)
                munmap((char *)stack - PAGE, STACK_SIZE + 2 * PAGE);
            else
                free(stack);
        }
        long now = status_kb("VmLck");
        most = now > most ? now : most;
        before = round == 0 ? now : before;
    }
    long after = status_kb("VmLck");
    printf("signals: %d, VmLck after the first: %ld, most: %ld, at the end: %ld KiB\n", seen, before,
           most, after);
    return after != before || seen != count / AT_ONCE * AT_ONCE;
}
