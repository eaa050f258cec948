/* A libc that refuses alternate stacks below LEAST bytes, as musl does from 1.2.6 on. With
 * CHECKS_DISABLE it looks at the size of a call that disables the stack too, as musl once did. */
#include "common.h"

int sigaltstack(const stack_t *restrict new, stack_t *restrict old)
{
    const char *least = getenv("LEAST");
    int checks = new && (!(new->ss_flags & SS_DISABLE) || getenv("CHECKS_DISABLE"));
    if (checks && least && new->ss_size < strtoul(least, NULL, 10)) {
        errno = ENOMEM;
        return -1;
    }
    return (int)syscall(SYS_sigaltstack, new, old);
}
