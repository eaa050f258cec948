// A thread sets a small alternate stack, the program then installs a seccomp filter for which
// munmap(2) is fatal, and the thread ends. After it some hundred others do the same.
// only: glibc
#include "common.h"
#include <sys/prctl.h>

enum { SIZE = 8192, MODE_FILTER = 2 };

// From <linux/filter.h>, which musl-gcc does not find.
struct instruction {
    uint16_t code;
    uint8_t if_true, if_false;
    uint32_t value;
};

static void confine(void)
{
    static struct instruction code[] = {
        {0x20, 0, 0, 0},
        {0x15, 0, 1, SYS_munmap},
        {0x06, 0, 0, 0x80000000}, // kill the process
        {0x06, 0, 0, 0x7fff0000}, // allow
    };
    struct {
        unsigned short length;
        struct instruction *code;
    } program = {sizeof code / sizeof *code, code};
    // All threads: SECCOMP_FILTER_FLAG_TSYNC.
    MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    MUST(syscall(SYS_seccomp, 1, 1, &program) == 0);
}

static pthread_barrier_t is_set, is_confined;
static volatile int taken;

static void count(int signal)
{
    (void)signal;
    taken++;
}

static void *sets(void *first)
{
    char *stack = malloc(SIZE);
    MUST(stack && set_altstack(stack, SIZE) == 0);
    if (first) {
        pthread_barrier_wait(&is_set);
        pthread_barrier_wait(&is_confined);
    }
    MUST(raise(SIGUSR1) == 0);
    return NULL;
}

int main(void)
{
    dead_man(60);
    on_signal(SIGUSR1, count, SA_ONSTACK);
    pthread_barrier_init(&is_set, NULL, 2);
    pthread_barrier_init(&is_confined, NULL, 2);
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, sets, &is_set) == 0);
    pthread_barrier_wait(&is_set);
    confine();
    pthread_barrier_wait(&is_confined);
    MUST(pthread_join(thread, NULL) == 0);
    for (int i = 0; i < 400; i++) {
        MUST(pthread_create(&thread, NULL, sets, NULL) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    }
    printf("taken %d\n", taken);
    return 0;
}
