// Each of two threads registers its alternate stack by a system call of its own; libc hears of
// the stack's existence only when the thread installs a handler with SA_ONSTACK.
#include "common.h"

static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

static void *take_signal(void *unused)
{
    (void)unused;
    MUST(raw_set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    MUST(raise(SIGUSR1) == 0);
    return NULL;
}

int main(void)
{
    dead_man(20);
    take_signal(NULL);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, take_signal, NULL) == 0);
    MUST(pthread_join(thread, NULL) == 0);
    printf("signals: %d\n", (int)seen);
    return seen != 2;
}
