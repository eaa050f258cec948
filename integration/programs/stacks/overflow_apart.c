// A thread overflows a stack without a guard. Whatever is mapped meanwhile would lie right below
// that stack, because all gaps above are filled. A handler that recognizes overflows by the fault's
// address must still recognize this one.
#include "common.h"

enum { SIZE = 256 * 1024 };

static char *stack;
static char alternate[STACK_SIZE];

static void overflowed(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    // Each call uses less than a page.
    long pages = (stack - 1 - (char *)info->si_addr) / (long)PAGE;
    printf("the fault is %ld pages below the stack, code %d\n", pages, info->si_code);
    fflush(stdout);
    _exit(0);
}

__attribute__((noinline)) static int deeper(int depth)
{
    volatile char room[256];
    room[0] = (char)depth;
    return depth ? deeper(depth + 1) + room[0] : 0;
}

static void *run(void *unused)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = overflowed;
    action.sa_flags = SA_ONSTACK | SA_SIGINFO;
    MUST(sigaction(SIGSEGV, &action, NULL) == 0);
    MUST(set_altstack(alternate, sizeof alternate) == 0);
    deeper(1);
    return unused;
}

// Leaves no gap between mappings above `from`.
static void fill_gaps(uintptr_t from)
{
    static char text[1 << 16];
    int fd = open("/proc/self/maps", O_RDONLY);
    MUST(fd >= 0);
    ssize_t length = 0, got;
    while ((got = read(fd, text + length, sizeof text - 1 - length)) > 0)
        length += got;
    close(fd);
    unsigned long start, end, last = from;
    char *rest;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (sscanf(line, "%lx-%lx", &start, &end) != 2 || end <= from)
            continue;
        if (strstr(line, "[stack]"))
            return;
        if (start > last)
            mmap((void *)last, start - last, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
        last = end;
    }
}

int main(void)
{
    pthread_attr_t attributes;
    pthread_t id;
    dead_man(60);
    // Makes stdio allocate what it needs.
    puts("begins");
    char *all = plain_pages(64 << 20);
    MUST(munmap(all, 32 << 20) == 0);
    stack = all + (32 << 20);
    MUST(pthread_attr_init(&attributes) == 0);
    MUST(pthread_attr_setstack(&attributes, stack, SIZE) == 0);
    fill_gaps((uintptr_t)all + (64 << 20));
    MUST(pthread_create(&id, &attributes, run, NULL) == 0);
    MUST(pthread_join(id, NULL) == 0);
    return 1;
}
