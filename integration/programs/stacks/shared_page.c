// Two threads' stacks from malloc share a page. One stack is released: the other stays locked. With
// the argument "locked" it prints how many pages of each are locked.
#include "common.h"

static char *upper, *lower;
static int shows_locks;
static pthread_barrier_t registered, released;
static volatile sig_atomic_t seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

static void step(const char *name)
{
    printf("%s", name);
    if (shows_locks)
        printf(": locked lower %ld, upper %ld, VmLck %ld kB", locked_pages(lower, STACK_SIZE),
               locked_pages(upper, STACK_SIZE), status_kb("VmLck"));
    printf("\n");
}

static void *thread(void *unused)
{
    (void)unused;
    MUST(set_altstack(upper, STACK_SIZE) == 0);
    pthread_barrier_wait(&registered);
    pthread_barrier_wait(&released);
    MUST(raise(SIGUSR1) == 0);
    MUST(drop_altstack() == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    shows_locks = argc > 1 && !strcmp(argv[1], "locked");
    dead_man(20);
    // Offset by half a page, so that the lower stack's last page is the upper one's first.
    char *block = fresh_pages(2 * STACK_SIZE + PAGE);
    lower = block + PAGE / 2;
    upper = lower + STACK_SIZE;
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    pthread_barrier_init(&registered, NULL, 2);
    pthread_barrier_init(&released, NULL, 2);
    pthread_t other;
    MUST(pthread_create(&other, NULL, thread, NULL) == 0);
    MUST(set_altstack(lower, STACK_SIZE) == 0);
    pthread_barrier_wait(&registered);
    step("both");
    MUST(drop_altstack() == 0);
    step("upper only");
    pthread_barrier_wait(&released);
    MUST(pthread_join(other, NULL) == 0);
    step("none");
    printf("signals: %d\n", (int)seen);
    return 0;
}
