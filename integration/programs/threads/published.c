// A process to be read from outside. The main thread keeps an alternate stack; 64 other threads set
// one, set another, disable it and end, and each is replaced by a new one. Two children wait: one
// of fork(2), and one whose fork no library saw. Prints where the stacks are and the children's
// pids, and ends when standard input does.
// compared: elsewhere
#include "common.h"
#include <sys/prctl.h>

#define THREADS 64
#define EACH 4
#define ROUNDS 50

static char *pool;
static int over, left = THREADS;

static void handler(int signal) { (void)signal; }

static void *churn(void *slot);

static void start(void *slot)
{
    pthread_attr_t attr;
    pthread_t thread;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 128 << 10);
    while (pthread_create(&thread, &attr, churn, slot) != 0)
        usleep(1000);
    pthread_attr_destroy(&attr);
}

static void *churn(void *slot)
{
    char *mine = pool + (size_t)slot * EACH * STACK_SIZE;
    for (int round = 0; round < ROUNDS; round++) {
        MUST(set_altstack(mine + round % EACH * STACK_SIZE, STACK_SIZE) == 0);
        if (round % 8 == 7)
            MUST(drop_altstack() == 0);
        usleep(100);
    }
    if (__atomic_load_n(&over, __ATOMIC_SEQ_CST))
        __atomic_sub_fetch(&left, 1, __ATOMIC_SEQ_CST);
    else
        start(slot);
    return NULL; // with or without a stack
}

static void wait_for_the_end(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

int main(void)
{
    dead_man(120);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    char *own = fresh_pages(STACK_SIZE);
    MUST(set_altstack(own, STACK_SIZE) == 0);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        wait_for_the_end();
    pid_t copy = raw_call(SYS_clone, SIGCHLD, 0, 0, 0);
    MUST(copy >= 0);
    if (copy == 0)
        wait_for_the_end();
    pool = plain_pages(THREADS * EACH * STACK_SIZE);
    for (size_t slot = 0; slot < THREADS; slot++)
        start((void *)slot);
    printf("%lu %lu %lu %d %d\n", (unsigned long)own, (unsigned long)pool,
           THREADS * EACH * STACK_SIZE, child, copy);
    fflush(stdout);
    char byte;
    MUST(read(0, &byte, 1) == 0);
    __atomic_store_n(&over, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&left, __ATOMIC_SEQ_CST))
        usleep(1000);
    kill(child, SIGKILL);
    kill(copy, SIGKILL);
    return 0;
}
