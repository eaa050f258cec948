// compared: elsewhere
/* Asks the kernel for AMX, which it refuses to a process with an alternate stack of the old
 * constant size, which has no room for AMX state in a frame. */
#include "common.h"

#include <errno.h>
#include <sys/syscall.h>

enum { ARCH_GET_XCOMP_SUPP = 0x1021, ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18, OLD_SIGSTKSZ = 8192 };

static const char *ask(void)
{
    uint64_t has = 0;
    if (syscall(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &has) != 0 || !(has >> XTILEDATA & 1))
        return "absent";
    if (syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0)
        return "granted";
    return errno == ENOSPC ? "refused" : "another error";
}

int main(void)
{
    static char memory[OLD_SIGSTKSZ];
    stack_t small = {.ss_sp = memory, .ss_size = sizeof memory};
    sigaltstack(&small, NULL);
    printf("beside a small stack: %s\n", ask());
    return 0;
}
