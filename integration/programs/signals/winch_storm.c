// The pattern of the well-known C reproducer of the signal frame defect (bugzilla.kernel.org 205663).
// A thread copies with AVX registers and discards its own alternate stack by madvise(MADV_DONTNEED),
// again and again, while another thread sends it SIGWINCH every 100 us; two processes per CPU.
//
// Arguments: seconds, and "naive" to lock the stack first, as a simple cure would. A process ends at
// its first failing madvise or wrong copy.
// compared: elsewhere
// only: 64-bit
#include <sys/sysinfo.h>
#include <time.h>
#include "common.h"

static volatile sig_atomic_t seen;
static pthread_t copier;
static int finished;

static void handler(int signal) { seen += signal == SIGWINCH; }

static void *sender(void *unused)
{
    (void)unused;
    struct timespec pause = {.tv_nsec = 100 * 1000};
    while (!__atomic_load_n(&finished, __ATOMIC_SEQ_CST)) {
        pthread_kill(copier, SIGWINCH);
        nanosleep(&pause, NULL);
    }
    return NULL;
}

enum { SIZE = 256 };
static unsigned char from[SIZE] __attribute__((aligned(32))), to[SIZE] __attribute__((aligned(32)));

// Fills eight registers, waits, and stores them: a signal in between must not change them.
static void copy(void)
{
    long dwell = 2000;
    if (!__builtin_cpu_supports("avx")) {
        memcpy(to, from, SIZE);
        return;
    }
    __asm__ volatile("vmovdqa 0(%1), %%ymm0\n vmovdqa 32(%1), %%ymm1\n"
                     "vmovdqa 64(%1), %%ymm2\n vmovdqa 96(%1), %%ymm3\n"
                     "vmovdqa 128(%1), %%ymm4\n vmovdqa 160(%1), %%ymm5\n"
                     "vmovdqa 192(%1), %%ymm6\n vmovdqa 224(%1), %%ymm7\n"
                     "1: dec %0\n jnz 1b\n"
                     "vmovdqa %%ymm0, 0(%2)\n vmovdqa %%ymm1, 32(%2)\n"
                     "vmovdqa %%ymm2, 64(%2)\n vmovdqa %%ymm3, 96(%2)\n"
                     "vmovdqa %%ymm4, 128(%2)\n vmovdqa %%ymm5, 160(%2)\n"
                     "vmovdqa %%ymm6, 192(%2)\n vmovdqa %%ymm7, 224(%2)\n"
                     "vzeroupper"
                     : "+r"(dwell)
                     : "r"(from), "r"(to)
                     : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "memory", "cc");
}

static int process(int seconds, int naive)
{
    char *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(stack != MAP_FAILED);
    if (naive)
        MUST(mlock(stack, STACK_SIZE) == 0);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    on_signal(SIGWINCH, handler, SA_ONSTACK | SA_RESTART);
    dead_man((unsigned)seconds + 60);
    copier = pthread_self();
    pthread_t id;
    MUST(pthread_create(&id, NULL, sender, NULL) == 0);
    struct timespec now, end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += seconds;
    for (unsigned round = 1;; round++) {
        memset(from, (int)round, SIZE);
        memset(to, 0, SIZE);
        copy();
        if (memcmp(from, to, SIZE) != 0) {
            fprintf(stderr, "a copy is wrong after %u rounds\n", round);
            return 3;
        }
        if (madvise(stack, STACK_SIZE, MADV_DONTNEED) != 0) {
            fprintf(stderr, "madvise: %s after %u rounds\n", strerror(errno), round);
            return 2;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec > end.tv_sec || (now.tv_sec == end.tv_sec && now.tv_nsec >= end.tv_nsec))
            break;
    }
    __atomic_store_n(&finished, 1, __ATOMIC_SEQ_CST);
    MUST(pthread_join(id, NULL) == 0);
    return seen == 0;
}

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 60;
    int naive = argc > 2 && !strcmp(argv[2], "naive");
    int count = 2 * get_nprocs(), worst = 0;
    dead_man((unsigned)seconds + 60);
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        MUST(child >= 0);
        if (child == 0)
            _exit(process(seconds, naive));
    }
    for (int i = 0; i < count; i++) {
        int status;
        MUST(wait(&status) > 0);
        int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        worst = code > worst ? code : worst;
    }
    printf("processes: %d, worst exit code: %d\n", count, worst);
    return worst;
}
