// evict PID ADDRESS BYTES: asks the kernel to page out that memory of another process.
// compared: elsewhere
#include "common.h"
#include <sched.h>
#include <sys/uio.h>

int main(int argc, char **argv)
{
    dead_man(20);
    if (argc != 4) {
        fprintf(stderr, "usage: evict PID ADDRESS BYTES\n");
        return 2;
    }
    int pidfd = syscall(SYS_pidfd_open, atoi(argv[1]), 0);
    MUST(pidfd >= 0);
    char *base = (char *)strtoul(argv[2], NULL, 0);
    size_t size = strtoul(argv[3], NULL, 0);
    // A page that was just faulted in waits in a list of that CPU, and only a call on the same CPU
    // removes it from there.
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        cpu_set_t here;
        CPU_ZERO(&here);
        CPU_SET(cpu, &here);
        if (sched_setaffinity(0, sizeof here, &here) != 0)
            continue;
        for (size_t at = 0; at < size; at += PAGE) {
            struct iovec page = {.iov_base = base + at, .iov_len = PAGE};
            // EINVAL: the page is locked.
            MUST(syscall(SYS_process_madvise, pidfd, &page, 1, MADV_PAGEOUT, 0) >= 0 || errno == EINVAL);
        }
    }
    return 0;
}
