// Gives up all of the stack that it runs on below its frame, which ends at a page boundary: what
// is called must not come back to frames of its own there.
// only: x86
#include "common.h"

int main(void)
{
    dead_man(30);
    char *pages = plain_pages(STACK_SIZE);
    size_t below = STACK_SIZE / 2;
    memset(pages, 1, STACK_SIZE);
#ifdef __i386__
    // libc's own function needs a few words below the arguments.
    long result, advice = MADV_DONTNEED;
    __asm__ volatile("mov %%esp, %%ebx\n\t"
                     "lea 48(%%esi,%%edi), %%esp\n\t"
                     "mov %%esi, (%%esp)\n\t"
                     "mov %%edi, 4(%%esp)\n\t"
                     "mov %%edx, 8(%%esp)\n\t"
                     "call madvise\n\t"
                     "mov %%ebx, %%esp"
                     : "=a"(result), "+d"(advice)
                     : "S"(pages), "D"(below)
                     : "ebx", "ecx", "memory", "cc");
#else
    // The return address is the last word above the boundary.
    register long result __asm__("rax");
    register void *start __asm__("rdi") = pages;
    register size_t length __asm__("rsi") = below;
    register long advice __asm__("rdx") = MADV_DONTNEED;
    __asm__ volatile("mov %%rsp, %%rbx\n\t"
                     "lea 16(%%rdi,%%rsi), %%rsp\n\t"
                     "call madvise@PLT\n\t"
                     "mov %%rbx, %%rsp"
                     : "=a"(result), "+D"(start), "+S"(length), "+d"(advice)
                     :
                     : "rbx", "rcx", "r8", "r9", "r10", "r11", "memory", "cc");
#endif
    int zero = 1;
    for (size_t i = 0; i < below - PAGE; i++)
        zero &= pages[i] == 0;
    printf("returned %ld, zero %d\n", result, zero);
    return 0;
}
