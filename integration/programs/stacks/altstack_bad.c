// Alternate stacks and pointers that no sane program passes. The program must see the kernel's own
// answer: it prints every return value, errno and output field.
#include "common.h"

static char *base;

static void print_stack(const stack_t *stack)
{
    if (stack->ss_sp == NULL)
        printf(" [null");
    else if ((char *)stack->ss_sp >= base && (char *)stack->ss_sp < base + 64 * PAGE)
        printf(" [base+%#tx", (char *)stack->ss_sp - base);
    else
        printf(" [elsewhere");
    if ((size_t)stack->ss_sp + stack->ss_size == 0)
        printf(" up to 2^64 flags %#x]", stack->ss_flags);
    else
        printf(" size %#zx flags %#x]", stack->ss_size, stack->ss_flags);
}

// Sets a stack, asks for the old one, then queries and disables.
static void try(const char *name, void *sp, size_t size, int flags)
{
    stack_t new = {.ss_sp = sp, .ss_size = size, .ss_flags = flags}, old;
    memset(&old, 0x5a, sizeof old);
    errno = 0;
    int result = sigaltstack(&new, &old);
    printf("%s: %d errno %d old", name, result, errno);
    if (result == 0)
        print_stack(&old);
    memset(&old, 0x5a, sizeof old);
    errno = 0;
    result = sigaltstack(NULL, &old);
    printf(" query %d errno %d", result, errno);
    print_stack(&old);
    errno = 0;
    result = drop_altstack();
    printf(" drop %d errno %d\n", result, errno);
}

// A stack that contains the current stack pointer cannot be left again (EPERM). Such a stack is
// tried in a thread of its own, which then ends.
struct extreme {
    const char *name;
    void *sp;
    size_t size;
};

static void *try_in_thread(void *argument)
{
    const struct extreme *extreme = argument;
    try(extreme->name, extreme->sp, extreme->size, 0);
    return NULL;
}

static void on_the_stack(int signal)
{
    stack_t now;
    errno = 0;
    int result = set_altstack(base, STACK_SIZE);
    printf("signal %d: set on the stack: %d errno %d;", signal, result, errno);
    errno = 0;
    // The kernel checks for EPERM before ENOMEM and EINVAL.
    result = set_altstack(base, 1);
    printf(" too small: %d errno %d;", result, errno);
    errno = 0;
    result = drop_altstack();
    printf(" drop: %d errno %d;", result, errno);
    errno = 0;
    result = sigaltstack(NULL, &now);
    printf(" query: %d errno %d", result, errno);
    print_stack(&now);
    printf("\n");
}

int main(void)
{
    dead_man(20);
    setvbuf(stdout, NULL, _IONBF, 0);
    base = fresh_pages(64 * PAGE);
    long before = status_kb("VmRSS"), locked = status_kb("VmLck");

    try("plain", base, STACK_SIZE, 0);
    try("unaligned", base + 13, STACK_SIZE - 100, 0);
    try("SS_ONSTACK", base, STACK_SIZE, SS_ONSTACK);
    try("bad flags", base, STACK_SIZE, 64);
    try("disable with a stack", base, STACK_SIZE, SS_DISABLE);
    try("size 0", base, 0, 0);
    try("size 1", base, 1, 0);
    try("size 2047", base, 2047, 0);
    try("size 2048", base, 2048, 0);
    try("null", NULL, STACK_SIZE, 0);
    try("kernel address", (void *)(sizeof(long) == 8 ? 0xffff800000000000 : 0xfffff000), STACK_SIZE, 0);
    struct extreme extremes[] = {
        {"all memory", NULL, SIZE_MAX},
        {"wraps", (void *)(UINTPTR_MAX - PAGE), STACK_SIZE},
        {"upper half", (void *)(SIZE_MAX / 2 + 1), SIZE_MAX / 2 + 1},
        {"wraps to null", base, -(size_t)base},
        {"wraps beyond null", base, SIZE_MAX},
    };
    for (size_t i = 0; i < sizeof extremes / sizeof *extremes; i++) {
        pthread_t thread;
        MUST(pthread_create(&thread, NULL, try_in_thread, &extremes[i]) == 0);
        MUST(pthread_join(thread, NULL) == 0);
    }

    MUST(mprotect(base, STACK_SIZE, PROT_NONE) == 0);
    try("PROT_NONE", base, STACK_SIZE, 0);
    MUST(mprotect(base, STACK_SIZE, PROT_READ) == 0);
    try("read-only", base, STACK_SIZE, 0);
    MUST(mprotect(base, STACK_SIZE, PROT_READ | PROT_WRITE) == 0);
    MUST(mprotect(base + STACK_SIZE - PAGE, PAGE, PROT_NONE) == 0);
    try("top page PROT_NONE", base, STACK_SIZE, 0);
    MUST(mprotect(base + STACK_SIZE - PAGE, PAGE, PROT_READ | PROT_WRITE) == 0);
    MUST(munmap(base + STACK_SIZE, PAGE) == 0);
    try("end unmapped", base + PAGE, STACK_SIZE, 0);
    MUST(munmap(base + 8 * PAGE, PAGE) == 0);
    try("hole", base, STACK_SIZE, 0);
    MUST(munmap(base, PAGE) == 0);
    try("begin unmapped", base, STACK_SIZE, 0);
    MUST(munmap(base, 64 * PAGE) == 0);
    try("unmapped", base, STACK_SIZE, 0);

    size_t huge = 1UL << 30;
    char *gigabyte = mmap(NULL, huge, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(gigabyte != MAP_FAILED);
    try("1 GiB", gigabyte, huge, 0);
    MUST(munmap(gigabyte, huge) == 0);

    // Pages beyond the end of a file exist, but any access raises SIGBUS.
    char name[] = "/tmp/altstack_bad.XXXXXX";
    int fd = mkstemp(name);
    MUST(fd >= 0 && unlink(name) == 0 && ftruncate(fd, PAGE) == 0);
    char *file = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    MUST(file != MAP_FAILED);
    base = file;
    try("beyond the end of a file", file, STACK_SIZE, 0);
    char byte = 1;
    MUST(pread(fd, &byte, 1, 0) == 1);
    printf("the file: %d\n", byte);

    long grown = status_kb("VmRSS") - before;
    printf("memory spent: %s, locks left: %ld kB\n", grown < 1024 ? "little" : "much",
           status_kb("VmLck") - locked);

    base = fresh_pages(64 * PAGE);
    stack_t good = {.ss_sp = base, .ss_size = STACK_SIZE}, now;
    stack_t *bad = (stack_t *)8;
    errno = 0;
    int result = sigaltstack(&good, bad);
    printf("bad oss: %d errno %d query", result, errno);
    // The new stack is installed nevertheless.
    MUST(sigaltstack(NULL, &now) == 0);
    print_stack(&now);
    errno = 0;
    result = sigaltstack(NULL, bad);
    printf(" bad oss only: %d errno %d\n", result, errno);
#ifdef __GLIBC__
    // musl reads ss itself, so it dies of SIGSEGV.
    errno = 0;
    result = sigaltstack(bad, NULL);
    printf("bad ss: %d errno %d", result, errno);
    printf("\n");
#endif
    errno = 0;
    result = sigaltstack(NULL, NULL);
    printf("no pointers: %d errno %d\n", result, errno);

    on_signal(SIGUSR1, on_the_stack, SA_ONSTACK);
    MUST(raise(SIGUSR1) == 0);
    return 0;
}
