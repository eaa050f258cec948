// Page faults while signals are delivered to alternate stacks, as the kernel counts them: in a fresh process,
// in a child after a fork, and in the parent after it. Prints the three numbers. The handler is empty, and all
// code has run before, so that only frames fault.
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK = 64 << 10 };

static void handler(int signal) { (void)signal; }

static long faults(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

static long delivery(void)
{
    long before = faults();
    raise(SIGUSR1);
    return faults() - before;
}

// All that a delivery touches beside the alternate stack: this signal's handler runs on the ordinary one.
static void warm_up(void)
{
    faults();
    raise(SIGUSR2), raise(SIGUSR2);
}

static void *fresh(void)
{
    return mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static int set(void *at)
{
    stack_t stack = {.ss_sp = at, .ss_size = STACK};
    return sigaltstack(&stack, NULL);
}

int main(void)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    struct sigaction ordinary = {.sa_handler = handler};
    int ends[2], status;
    if (sigaction(SIGUSR1, &action, NULL) || sigaction(SIGUSR2, &ordinary, NULL) || set(fresh()) || pipe(ends))
        return 99;
    delivery(), warm_up();
    void *second = fresh();
    if (set(second))
        return 99;
    long first = delivery();
    pid_t child = fork();
    if (child < 0)
        return 99;
    if (child == 0) {
        warm_up();
        long found = delivery();
        return write(ends[1], &found, sizeof found) != sizeof found;
    }
    warm_up();
    long parent = delivery(), in_child = -1;
    if (read(ends[0], &in_child, sizeof in_child) != sizeof in_child || wait(&status) != child)
        return 99;
    printf("fresh %ld child %ld parent %ld\n", first, in_child, parent);
    return 0;
}
