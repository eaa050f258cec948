/*
 * From FreeBSD's libc: the stubs of the calls that sigward-freebsd emulates, each under
 * its three names, and the location of errno.
 */
// output: libfbsd.so
#include <errno.h>

int *__error(void) { return &errno; }

#define STUB(NAME, NUMBER)                                                      \
    __asm__(".text\n"                                                           \
            ".globl " #NAME ", _" #NAME ", __sys_" #NAME "\n"                   \
            ".type " #NAME ", @function\n.type _" #NAME ", @function\n"         \
            ".type __sys_" #NAME ", @function\n"                                \
            #NAME ":\n_" #NAME ":\n__sys_" #NAME ":\n"                          \
            "mov $" #NUMBER ", %eax\n"                                          \
            "mov %rcx, %r10\n"                                                  \
            "syscall\n"                                                         \
            "jc fbsd_error\n"                                                   \
            "ret\n")

__asm__(".text\n"
        "fbsd_error:\n"
        "push %rax\n"
        "call __error@plt\n"
        "pop %rcx\n"
        "mov %ecx, (%rax)\n"
        "mov $-1, %rax\n"
        "ret\n"
        /* Linux carries out the calls here. */
        ".balign 8\n"
        ".ascii \"fbsdgate\"\n"
        "syscall\n"
        "int3\n");

STUB(wait4, 7);
STUB(wait6, 532);
