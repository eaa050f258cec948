// Each call that another library may make fail, several times, with all its results. With the
// argument "locked" it prints to stderr what is locked at the end.
#include "common.h"

static void handler(int signal) { (void)signal; }

// Prints only success or failure: addresses and pids differ from run to run.
#define SHOW(call, good)                                                                        \
    do {                                                                                        \
        errno = ENOTTY;                                                                         \
        int fine = (call)good;                                                                  \
        printf("%s: %s errno %d\n", #call, fine ? "good" : "bad", errno);                       \
    } while (0)

static void *nothing(void *argument) { return argument; }

static void stacks(char *stack)
{
    stack_t new = {.ss_sp = stack, .ss_size = STACK_SIZE}, old;
    for (int i = 0; i < 6; i++) {
        memset(&old, 0x5a, sizeof old);
        SHOW(sigaltstack(&new, &old), == 0);
        printf("old: %d flags %d size %zu\n", old.ss_sp == stack, old.ss_flags, old.ss_size);
        memset(&old, 0x5a, sizeof old);
        SHOW(sigaltstack(NULL, &old), == 0);
        printf("now: %d flags %d size %zu\n", old.ss_sp == stack, old.ss_flags, old.ss_size);
    }
}

static void actions(void)
{
    for (int i = 0; i < 6; i++) {
        struct sigaction new = {.sa_handler = handler, .sa_flags = SA_ONSTACK}, old;
        memset(&old, 0x5a, sizeof old);
        SHOW(sigaction(SIGUSR1, &new, &old), == 0);
        printf("old: %d flags %#x\n", old.sa_handler == handler, old.sa_flags & ~0x04000000);
    }
}

static void memory(char *stack)
{
    for (int i = 0; i < 6; i++) {
        memset(stack, 1, STACK_SIZE);
        SHOW(madvise(stack, STACK_SIZE, MADV_DONTNEED), == 0);
        printf("zeroed: %d %d\n", stack[0] == 0, stack[STACK_SIZE - 1] == 0);
        SHOW(madvise(stack, STACK_SIZE, MADV_WILLNEED), == 0);
        SHOW(madvise(stack, STACK_SIZE, MADV_FREE), == 0);
        SHOW(mlock(stack, PAGE), == 0);
        SHOW(munlock(stack, PAGE), == 0);
        SHOW(mlockall(MCL_CURRENT), == 0);
        SHOW(munlockall(), == 0);
        SHOW(mprotect(stack, STACK_SIZE, PROT_READ | PROT_WRITE), == 0);
    }
}

static void mappings(void)
{
    for (int i = 0; i < 4; i++) {
        char *map = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        printf("mmap: %d errno %d\n", map != MAP_FAILED, map == MAP_FAILED ? errno : 0);
        if (map == MAP_FAILED)
            continue;
        SHOW(set_altstack(map, STACK_SIZE), == 0);
        memset(map, 7, STACK_SIZE);
        char *moved = mremap(map, STACK_SIZE, 2 * STACK_SIZE, MREMAP_MAYMOVE);
        printf("mremap: %d errno %d\n", moved != MAP_FAILED, moved == MAP_FAILED ? errno : 0);
        char *now = moved == MAP_FAILED ? map : moved;
        printf("contents: %d %d\n", now[0], now[STACK_SIZE - 1]);
        SHOW(mmap(now, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
             != MAP_FAILED);
        printf("first page: %d\n", now[0]);
        SHOW(munmap(now, STACK_SIZE), == 0);
        SHOW(drop_altstack(), == 0);
    }
}

static void processes(void)
{
    for (int i = 0; i < 6; i++) {
        errno = 0;
        pid_t child = fork();
        if (child == 0)
            _exit(5);
        int status = -1, error = errno;
        pid_t got = child > 0 ? waitpid(child, &status, 0) : 0;
        printf("fork: %d errno %d wait: %d status %d\n", child > 0, error, got == child, status);
        pthread_t thread;
        int result = pthread_create(&thread, NULL, nothing, NULL);
        if (result == 0)
            MUST(pthread_join(thread, NULL) == 0);
        printf("thread: %d\n", result);
    }
}

int main(int argc, char **argv)
{
    dead_man(20);
    setvbuf(stdout, NULL, _IONBF, 0);
    char *stack = fresh_pages(STACK_SIZE);
    stacks(stack);
    actions();
    memory(stack);
    processes();
    mappings();
    drop_altstack();
    munlockall();
    if (argc > 1 && !strcmp(argv[1], "locked"))
        fprintf(stderr, "VmLck: %ld\n", status_kb("VmLck"));
    return 0;
}
