/* What the memory is that a handler finds itself on, if its stack was too small. */
// compared: elsewhere
#include "common.h"

#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif

static char *volatile here;

static void handler(int signal)
{
    (void)signal;
    here = __builtin_frame_address(0);
}

int main(void)
{
    static char small[8192];
    MUST(set_altstack(small, sizeof small) == 0);
    on_signal(SIGUSR1, handler, SA_ONSTACK);
    raise(SIGUSR1);
    uintptr_t at = (uintptr_t)here;
    int outside = at - (uintptr_t)small >= sizeof small;

    char *page = plain_pages(PAGE);
    int can = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, (long)page, PAGE, (long)"test") == 0;

    FILE *maps = fopen("/proc/self/maps", "r");
    MUST(maps);
    char line[512], before[512] = "";
    unsigned long start = 0, end = 0, below_end = 0, below_start;
    int guard = 0, named = 0;
    while (fgets(line, sizeof line, maps)) {
        MUST(sscanf(line, "%lx-%lx", &start, &end) == 2);
        if (at >= start && at < end) {
            if (sscanf(before, "%lx-%lx", &below_start, &below_end) == 2)
                guard = below_end == start && strstr(before, " ---p ") != NULL;
            named = strstr(line, "[anon:sigward: signal stack]") != NULL;
            break;
        }
        memcpy(before, line, sizeof before);
    }
    printf("outside %d, guard %d, at least 32104 bytes %d, named %d of %d\n", outside, guard,
           end - start >= 32104, named, can);
    return 0;
}
