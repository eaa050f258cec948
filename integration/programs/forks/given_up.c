// While another thread's fork takes long, a thread replaces its alternate stack or ends, as the
// argument says ("set", "end"). The memory of the old stack is then used for data, which the
// children of that fork and of a later one must find.
// compared: elsewhere
// links: libslow
#include "common.h"

void wait_for_slow_fork(void);
int fork_until(const volatile int *done, int (*work)(void));

static char *old;
static const char *does;
static pthread_barrier_t both;
static volatile int filled;

static void fill(void)
{
    memset(old, 0x5a, STACK_SIZE);
    filled = 1;
}

static void *replace(void *unused)
{
    MUST(set_altstack(old, STACK_SIZE) == 0);
    pthread_barrier_wait(&both);
    wait_for_slow_fork();
    if (!strcmp(does, "set")) {
        MUST(set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
        fill();
        pthread_barrier_wait(&both);
    }
    return unused;
}

static int is_there(void)
{
    for (size_t at = 0; at < STACK_SIZE; at++)
        if (old[at] != 0x5a)
            return 1;
    return 0;
}

static void *slow_thread(void *unused)
{
    pthread_barrier_wait(&both);
    printf("its child: %d\n", fork_until(&filled, is_there));
    return unused;
}

int main(int argc, char **argv)
{
    MUST(argc > 1);
    does = argv[1];
    dead_man(30);
    old = plain_pages(STACK_SIZE);
    MUST(pthread_barrier_init(&both, NULL, 2) == 0);
    pthread_t slow, other;
    MUST(pthread_create(&other, NULL, replace, NULL) == 0);
    MUST(pthread_create(&slow, NULL, slow_thread, NULL) == 0);
    if (!strcmp(does, "end")) {
        MUST(pthread_join(other, NULL) == 0);
        fill();
    }
    MUST(pthread_join(slow, NULL) == 0);
    fflush(stdout);
    pid_t child = fork();
    MUST(child >= 0);
    if (child == 0)
        _exit(is_there());
    int status;
    MUST(waitpid(child, &status, 0) == child);
    printf("a later child: %d\n", status);
    fflush(stdout);
    if (strcmp(does, "end")) {
        pthread_barrier_wait(&both);
        MUST(pthread_join(other, NULL) == 0);
    }
    return 0;
}
