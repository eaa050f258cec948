/*
 * From FreeBSD's libthr: wait4 as a cancellation point, which calls libc's innermost
 * name. It counts its calls for the program.
 */
// links: libfbsd
#include <sys/types.h>

int __sys_wait4(pid_t, int *, int, void *);
int fthr_calls;

pid_t _wait4(pid_t pid, int *status, int options, void *usage)
{
    fthr_calls++;
    return __sys_wait4(pid, status, options, usage);
}

pid_t wait4(pid_t pid, int *status, int options, void *usage) __attribute__((alias("_wait4")));
