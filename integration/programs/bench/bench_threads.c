// How many threads a process can have until the kernel refuses one because of its limit on mappings
// (vm.max_map_count) or threads. bench_threads none|own: each thread with nothing, or with an
// alternate stack of 16 KiB above a guard. Prints the number of threads.
// compared: elsewhere
#include "common.h"

#define MOST 60000
#define ALTSTACK (16 << 10)

static int with_stacks;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int started, refused;

static int set_own(void)
{
    char *memory = mmap(NULL, ALTSTACK + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory != MAP_FAILED && mprotect(memory + PAGE, ALTSTACK, PROT_READ | PROT_WRITE) == 0 &&
           set_altstack(memory + PAGE, ALTSTACK) == 0;
}

static void *wait_for_ever(void *unused)
{
    int failed = with_stacks && !set_own();
    pthread_mutex_lock(&lock);
    started++;
    refused |= failed;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
    for (;;)
        pause();
    return unused;
}

int main(int argc, char **argv)
{
    dead_man(240);
    MUST(argc == 2);
    with_stacks = !strcmp(argv[1], "own");
    on_signal(SIGTERM, SIG_DFL, 0);
    pthread_attr_t small;
    MUST(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 128 << 10) == 0);
    int made = 0;
    pthread_t thread;
    // One at a time, so that no other thread is half created when the first is refused.
    while (made < MOST && !refused && pthread_create(&thread, &small, wait_for_ever, NULL) == 0) {
        made++;
        pthread_mutex_lock(&lock);
        while (started < made)
            pthread_cond_wait(&changed, &lock);
        pthread_mutex_unlock(&lock);
    }
    printf("%d\n", made);
    _exit(fflush(stdout));
}
