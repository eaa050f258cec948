// glibc's sigstack(): its argument is the top of a stack, without a size.
// build: -Wl,--no-warnings
// only: glibc
#include "common.h"
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

int main(void)
{
    dead_man(20);
    char *stack = fresh_pages(STACK_SIZE);
    struct sigstack new = {.ss_sp = stack + STACK_SIZE, .ss_onstack = 0}, old;
    memset(&old, 0x5a, sizeof old);
    errno = ENOTTY;
    int result = sigstack(&new, &old);
    printf("set: %d errno %d old %p onstack %d\n", result, errno, old.ss_sp, old.ss_onstack);
    memset(&old, 0x5a, sizeof old);
    result = sigstack(NULL, &old);
    printf("query: %d onstack %d\n", result, old.ss_onstack);
    stack_t now;
    MUST(sigaltstack(NULL, &now) == 0);
    // glibc passes sp = ss_sp and size = (size_t)ss_sp: nonsense, but that is what the kernel gets.
    printf("the kernel's: top %d, size is the address %d\n", now.ss_sp == stack + STACK_SIZE,
           now.ss_size == (size_t)(stack + STACK_SIZE));
    return 0;
}
