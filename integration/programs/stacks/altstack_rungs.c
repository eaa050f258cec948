// COUNT threads with an alternate stack of KIB KiB each, in separate mappings. When all are set, it
// prints what the kernel says about them: how many are locked or only present, whole or in part.
// With "plain" there is a handler that would use the threads' ordinary stacks.
// compared: elsewhere
#include "common.h"

enum { MOST = 64 };

static size_t size;
static char *stacks[MOST];
static pthread_barrier_t set, reported;

static void handler(int signal) { (void)signal; }

static void *thread(void *stack)
{
    MUST(set_altstack(stack, size) == 0);
    pthread_barrier_wait(&set);
    pthread_barrier_wait(&reported);
    MUST(drop_altstack() == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    dead_man(60);
    MUST(argc > 2);
    int count = atoi(argv[1]);
    long pages = atoi(argv[2]) * 1024 / (long)PAGE;
    MUST(count > 0 && count <= MOST);
    size = pages * PAGE;
    on_signal(SIGUSR1, handler, argc > 3 && !strcmp(argv[3], "plain") ? 0 : SA_ONSTACK);
    pthread_barrier_init(&set, NULL, count + 1);
    pthread_barrier_init(&reported, NULL, count + 1);
    pthread_t threads[MOST];
    for (int i = 0; i < count; i++) {
        stacks[i] = plain_pages(size);
        MUST(pthread_create(&threads[i], NULL, thread, stacks[i]) == 0);
    }
    pthread_barrier_wait(&set);
    int locked = 0, locked_in_part = 0, present = 0, present_in_part = 0;
    for (int i = 0; i < count; i++) {
        long held = locked_pages(stacks[i], size), there = present_pages(stacks[i], size);
        if (held > 0)
            *(held == pages ? &locked : &locked_in_part) += 1;
        else if (there > 0)
            *(there == pages ? &present : &present_in_part) += 1;
    }
    printf("locked %d, in part %d; present %d, in part %d; VmLck %ld kB\n", locked, locked_in_part, present,
           present_in_part, status_kb("VmLck"));
    pthread_barrier_wait(&reported);
    for (int i = 0; i < count; i++)
        MUST(pthread_join(threads[i], NULL) == 0);
    printf("VmLck at the end %ld kB\n", status_kb("VmLck"));
    return 0;
}
