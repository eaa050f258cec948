// A SIGSEGV handler on the alternate stack that makes memory accessible, as in garbage collectors,
// and meanwhile calls every hooked function. The faults come from user code.
#include "common.h"
#include <setjmp.h>

static char *guarded, *other;
static volatile int seen, bad;
static sigjmp_buf out;

#define CHECK(call)                                                                             \
    do {                                                                                        \
        if (!(call))                                                                            \
            bad = __LINE__;                                                                     \
    } while (0)

static void nothing(int signal) { (void)signal; }

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_ONSTACK};
    stack_t now;
    seen++;
    CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
    CHECK(sigaltstack(NULL, &now) == 0 && now.ss_flags == SS_ONSTACK);
    CHECK(set_altstack(other, STACK_SIZE) == -1 && errno == EPERM);
    CHECK(drop_altstack() == -1 && errno == EPERM);
    char *map = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(map != MAP_FAILED && mlock(map, PAGE) == 0 && munlock(map, PAGE) == 0);
    CHECK(munmap(map, STACK_SIZE) == 0);
    CHECK(madvise(other, STACK_SIZE, MADV_DONTNEED) == 0);
    // The unused lower part of the stack that the handler runs on.
    CHECK(madvise(now.ss_sp, 4 * PAGE, MADV_DONTNEED) == 0);
    if (seen % 50 == 0) {
        pid_t child = fork();
        if (child == 0)
            _exit(madvise(now.ss_sp, 4 * PAGE, MADV_DONTNEED) != 0);
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
    }
    CHECK(mprotect(guarded, PAGE, PROT_READ | PROT_WRITE) == 0);
    if (seen % 3 == 0)
        siglongjmp(out, 1);
    (void)info;
}

int main(void)
{
    dead_man(60);
    guarded = fresh_pages(PAGE), other = fresh_pages(STACK_SIZE);
    char *stack = fresh_pages(STACK_SIZE);
    long before = status_kb("VmLck");
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    MUST(sigaction(SIGSEGV, &action, NULL) == 0);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    for (int i = 0; i < 1000; i++) {
        MUST(mprotect(guarded, PAGE, PROT_NONE) == 0);
        if (sigsetjmp(out, 1) == 0)
            *(volatile char *)guarded = 1;
    }
    MUST(drop_altstack() == 0);
    printf("faults %d bad line %d locked %ld kB more\n", seen, bad, status_kb("VmLck") - before);
    return 0;
}
