// Forks while another thread's fork takes long. In the child, a new thread gets the stack and
// thread pointer that the other thread had, and forks again.
// compared: elsewhere
// links: libslow
#include "common.h"

void wait_for_slow_fork(void);
void fork_slowly(unsigned milliseconds);

static void report(const char *when)
{
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    printf("%s: blocked: SIGUSR1 %d, SIGUSR2 %d\n", when, sigismember(&mask, SIGUSR1), sigismember(&mask, SIGUSR2));
    fflush(stdout);
}

static void block(int signal)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    MUST(pthread_sigmask(SIG_BLOCK, &mask, NULL) == 0);
}

static void *slow_thread(void *unused)
{
    block(SIGUSR2);
    fork_slowly(1500);
    return unused;
}

static void *fork_again(void *other)
{
    printf("the other's thread: %d\n", pthread_equal(pthread_self(), *(pthread_t *)other) != 0);
    block(SIGUSR1);
    report("before");
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        report("in the child");
        _exit(0);
    }
    MUST(waitpid(child, NULL, 0) == child);
    report("after");
    return NULL;
}

int main(void)
{
    dead_man(30);
    MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
    pthread_t other, again;
    MUST(pthread_create(&other, NULL, slow_thread, NULL) == 0);
    wait_for_slow_fork();
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0) {
        MUST(pthread_create(&again, NULL, fork_again, &other) == 0);
        MUST(pthread_join(again, NULL) == 0);
        _exit(0);
    }
    MUST(waitpid(child, NULL, 0) == child);
    MUST(pthread_join(other, NULL) == 0);
    return 0;
}
