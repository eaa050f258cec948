// Large alternate stacks in parts of mappings, one after another, each unmapped after use: 600 times,
// always elsewhere. Whatever stands in for them goes with them.
#include "common.h"

enum { SIZE = 300 << 10, TIMES = 600 };

static void nothing(int signal) { (void)signal; }

int main(void)
{
    dead_man(60);
    on_signal(SIGUSR1, nothing, SA_ONSTACK);
    long before = mapping_count();
    for (int i = 0; i < TIMES; i++) {
        char *place = (char *)0x20000000 + (size_t)i * 2 * SIZE;
        int flags = MAP_PRIVATE | MAP_ANONYMOUS;
        char *memory = mmap(place, SIZE + PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
        MUST(memory != MAP_FAILED && set_altstack(memory, SIZE) == 0);
        MUST(raise(SIGUSR1) == 0 && drop_altstack() == 0);
        MUST(munmap(memory, SIZE + PAGE) == 0);
    }
    puts(mapping_count() - before < TIMES / 4 ? "few mappings" : "many mappings");
    return 0;
}
