// Vector registers of a 32-bit program around a signal, on a kernel that loses them: prints how many
// deliveries there were, and after how many a register differed. Each processor has two processes that
// take signals on a stack whose pages they drop before each, and one that only uses the registers. A
// thread of each changes the protection of much memory all the time: a fault then has to wait.
// Arguments: seconds; "ucontext" for the frame of handlers with SA_SIGINFO.
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 32 << 10, LARGE = 64 << 20, WORKERS = 2, MOST = 64 };

static struct { long deliveries, lost; } *counts;
static volatile long handled;

static void count(int signal) { handled += signal == SIGUSR1; }

static void *pages(size_t size, int flags)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        exit(99);
    return at;
}

static void *delay_faults(void *unused)
{
    char *large = pages(LARGE, MAP_PRIVATE | MAP_POPULATE);
    for (;;) {
        mprotect(large, LARGE, PROT_READ);
        mprotect(large, LARGE, PROT_READ | PROT_WRITE);
    }
    return unused;
}

// One signal to ourselves. The compiler may use the registers at any call, so all is one block.
// Emulators interrupt only at branches, hence the loops.
static int lost(const char *value, pid_t process, pid_t thread)
{
    int differs;
    __asm__ volatile("vmovdqu (%%esi), %%ymm0\n vmovdqa %%ymm0, %%ymm3\n vmovdqa %%ymm0, %%ymm7\n"
                     "mov $100, %%edi\n 2: dec %%edi\n jnz 2b\n"
                     "int $0x80\n"
                     "mov $100, %%edi\n 3: dec %%edi\n jnz 3b\n"
                     "vxorps (%%esi), %%ymm0, %%ymm0\n vxorps (%%esi), %%ymm3, %%ymm3\n"
                     "vxorps (%%esi), %%ymm7, %%ymm7\n"
                     "vorps %%ymm3, %%ymm0, %%ymm0\n vorps %%ymm7, %%ymm0, %%ymm0\n"
                     "xor %%eax, %%eax\n vptest %%ymm0, %%ymm0\n setnz %%al\n vzeroupper"
                     : "=a"(differs)
                     : "a"(SYS_tgkill), "b"(process), "c"(thread), "d"(SIGUSR1), "S"(value)
                     : "edi", "memory", "cc");
    return differs;
}

static void use_registers(const char *value, time_t end)
{
    while (time(NULL) < end)
        for (int i = 0; i < 2000; i++)
            __asm__ volatile("vmovdqu (%0), %%ymm0\n vmovdqa %%ymm0, %%ymm3\n vmovdqa %%ymm0, %%ymm7\n"
                             "mov $100, %%edi\n 2: dec %%edi\n jnz 2b"
                             : : "r"(value) : "edi", "memory", "cc");
}

static int take_signals(const char *value, time_t end, int flags, int number)
{
    char *stack = pages(STACK, MAP_PRIVATE);
    stack_t alternate = {.ss_sp = stack, .ss_size = STACK};
    struct sigaction action = {.sa_handler = count, .sa_flags = SA_ONSTACK | flags};
    if (sigaltstack(&alternate, NULL) != 0 || sigaction(SIGUSR1, &action, NULL) != 0)
        return 99;
    pid_t process = getpid(), thread = syscall(SYS_gettid);
    while (time(NULL) < end) {
        if (madvise(stack, STACK, MADV_DONTNEED) != 0)
            return 98;
        counts[number].deliveries++;
        counts[number].lost += lost(value, process, thread);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int seconds = argc > 1 ? atoi(argv[1]) : 5, flags = argc > 2 ? SA_SIGINFO : 0, status, failed = 0;
    int total = 0;
    time_t end = time(NULL) + seconds;
    counts = pages(MOST * sizeof *counts, MAP_SHARED);
    for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++) {
        for (int worker = 0; worker <= WORKERS && total < MOST; worker++, total++) {
            if (fork())
                continue;
            char value[32];
            cpu_set_t one;
            pthread_t other;
            memset(value, total + 1, sizeof value);
            if (worker < WORKERS)
                pthread_create(&other, NULL, delay_faults, NULL);
            CPU_ZERO(&one);
            CPU_SET(cpu, &one);
            sched_setaffinity(0, sizeof one, &one);
            if (worker < WORKERS)
                _exit(take_signals(value, end, flags, total));
            use_registers(value, end);
            _exit(0);
        }
    }
    while (wait(&status) > 0)
        failed |= status;
    long deliveries = 0, different = 0;
    for (int i = 0; i < total; i++) {
        deliveries += counts[i].deliveries;
        different += counts[i].lost;
    }
    printf("deliveries %ld lost %ld\n", deliveries, different);
    return failed != 0;
}
