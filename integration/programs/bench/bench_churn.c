// An allocator at work: allocations of 16 bytes to 512 KiB, a thousand live at a time, in the same
// order in each run. bench_churn ROUNDS
// compared: elsewhere
#include "common.h"

#define LIVE 1000

int main(int argc, char **argv)
{
    dead_man(120);
    MUST(argc == 2);
    static char *live[LIVE];
    uint32_t state = 1;
    for (long i = atol(argv[1]); i > 0; i--) {
        state = state * 1664525 + 1013904223;
        char **place = &live[(state >> 8) % LIVE];
        // Each size class is equally frequent.
        size_t size = (size_t)16 << (state >> 28);
        free(*place);
        MUST(*place = malloc(size + (state & 15)));
        (*place)[0] = (*place)[size - 1] = 1;
    }
    return 0;
}
