// A stack is set after sigward has looked at a call of madvise or process_madvise and before the
// kernel gets it. Prints what each call returned, errno, and how often the library in front of libc
// was called; on stderr how much of the stack is resident.
// compared: elsewhere
// links: libadvises
#include "common.h"
#include <sys/uio.h>

#ifndef MADV_COLD // Linux 5.4
#define MADV_COLD 20
#endif
#ifndef SYS_pidfd_open // Linux 5.3
#define SYS_pidfd_open 434
#endif

extern void (*amid)(int step);
extern int advised;
ssize_t process_madvise(int pidfd, const struct iovec *vectors, size_t count, int advice,
                        unsigned flags);

static char *stack, *other;
static int steps;

static void set(int step)
{
    if (step > steps)
        return;
    MUST(set_altstack(step == 1 ? stack : other, STACK_SIZE) == 0);
    if (step == steps)
        amid = NULL;
}

static long resident(void)
{
    unsigned char here[STACK_SIZE / PAGE];
    MUST(mincore(stack, STACK_SIZE, here) == 0);
    long sum = 0;
    for (unsigned i = 0; i < sizeof here; i++)
        sum += here[i] & 1;
    return sum;
}

// `until`: 0 sets nothing, 1 sets the stack, 2 sets another one after that.
static void call(const char *name, int by_vector, int advice, int until)
{
    int pidfd = syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec vector = {stack, STACK_SIZE};
    memset(stack, 1, STACK_SIZE);
    advised = 0;
    steps = until;
    amid = until ? set : NULL;
    errno = 77;
    long result = by_vector ? process_madvise(pidfd, &vector, 1, advice, 0)
                            : madvise(stack, STACK_SIZE, advice);
    int error = errno;
    fprintf(stderr, "%s: %ld\n", name, resident());
    printf("%s: %ld, errno %d\n", name, result, error);
    MUST(drop_altstack() == 0);
    close(pidfd);
}

int main(void)
{
    dead_man(30);
    stack = plain_pages(STACK_SIZE);
    plain_pages(PAGE);
    other = plain_pages(STACK_SIZE);
    call("cold", 0, MADV_COLD, 1);
    call("cold, then another", 0, MADV_COLD, 2);
    call("cold by vector", 1, MADV_COLD, 1);
    call("cold by vector, then another", 1, MADV_COLD, 2);
    call("given up", 0, MADV_DONTNEED, 1);
    call("not advice at all", 0, 12345, 1);
    printf("that was %d call\n", advised);
    return 0;
}
