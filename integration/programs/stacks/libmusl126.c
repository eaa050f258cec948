// musl's sigaltstack from version 1.2.6 on: it refuses what is too small for this processor's frames.
#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

int sigaltstack(const stack_t *restrict new, stack_t *restrict old)
{
    if (new && !(new->ss_flags & SS_DISABLE) && new->ss_size < getauxval(AT_MINSIGSTKSZ) + 1024) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_sigaltstack, new, old);
}
