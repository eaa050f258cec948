// Restarts itself with a small stack limit, raises the limit, as compilers do, and uses the whole
// stack.
#include "common.h"

__attribute__((noinline)) static int deeper(int depth)
{
    volatile char here[4096];
    memset((char *)here, depth, sizeof here);
    return depth ? deeper(depth - 1) + here[5] : here[1];
}

static void limit(rlim_t bytes)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_STACK, &limit) == 0);
    limit.rlim_cur = bytes;
    MUST(setrlimit(RLIMIT_STACK, &limit) == 0);
}

int main(int argc, char **argv)
{
    dead_man(20);
    if (argc == 1) {
        limit(32 << 10);
        execl("/proc/self/exe", argv[0], "again", NULL);
        return 99;
    }
    limit(64 << 20);
    deeper(1536);
    puts("6 MiB deep");
    return 0;
}
