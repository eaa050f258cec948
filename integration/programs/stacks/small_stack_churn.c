/* Threads with a small alternate stack each come and go, and the program's mappings, locked memory
 * and address space stay as they are. How the stack ends is the argument. */
// compared: elsewhere
#include "common.h"

enum { SIZE = 8192, WARM = 100, MORE = 1000 };

static const char *how;

static void handler(int signal) { (void)signal; }

static void *thread(void *unused)
{
    (void)unused;
    char own[SIZE];
    int is_mapped = strcmp(how, "unmapped") == 0;
    char *base = strcmp(how, "left") == 0 ? own : is_mapped ? plain_pages(SIZE) : malloc(SIZE);
    MUST(base && set_altstack(base, SIZE) == 0);
    raise(SIGUSR1);
    if (base != own) {
        MUST(drop_altstack() == 0);
        if (is_mapped)
            MUST(munmap(base, SIZE) == 0);
        else
            free(base);
    }
    return NULL;
}

static void churn(int threads)
{
    for (int i = 0; i < threads; i += 10) {
        pthread_t some[10];
        for (int j = 0; j < 10; j++)
            MUST(pthread_create(&some[j], NULL, thread, NULL) == 0);
        for (int j = 0; j < 10; j++)
            MUST(pthread_join(some[j], NULL) == 0);
    }
}

int main(int argc, char **argv)
{
    dead_man(25);
    MUST(argc == 2);
    how = argv[1];
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    churn(WARM);
    long maps = mapping_count(), locked = status_kb("VmLck"), size = status_kb("VmSize");
    churn(MORE);
    maps = mapping_count() - maps, locked = status_kb("VmLck") - locked;
    size = status_kb("VmSize") - size;
    /* A few more for chance: how many threads there were at one time. */
    printf("flat: mappings %d, locked %d, size %d\n", maps < 60, locked < 1024, size < 4096);
    if (maps >= 60 || locked >= 1024 || size >= 4096)
        printf("mappings %ld, locked %ld KiB, size %ld KiB\n", maps, locked, size);
    return 0;
}
