// A library in front of libc whose advice takes long: what `amid` does happens before the kernel
// sees a call, and once more, as the second step, after it.
#include "common.h"

void (*amid)(int step);
int advised;

static long each(long number, long a, long b, long c, long d, long e)
{
    advised++;
    if (amid)
        amid(1);
    // sigward must not see this call.
#ifdef __i386__
    MUST(e == 0);
    long result = raw_call(number, a, b, c, d);
#else
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
#endif
    if (amid)
        amid(2);
    if (result >= 0)
        return result;
    errno = -result;
    return -1;
}

int madvise(void *start, size_t length, int advice)
{
    return each(SYS_madvise, (long)start, length, advice, 0, 0);
}

ssize_t process_madvise(int pidfd, const struct iovec *vectors, size_t count, int advice,
                        unsigned flags)
{
    return each(SYS_process_madvise, pidfd, (long)vectors, count, advice, flags);
}
