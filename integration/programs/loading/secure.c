// Does this program run in secure mode (AT_SECURE)? With the argument "locked" it also prints what
// is locked of its alternate stack.
#include "common.h"
#include <sys/auxv.h>

int main(int argc, char **argv)
{
    dead_man(20);
    char *stack = fresh_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    printf("secure: %lu\n", getauxval(AT_SECURE));
    if (argc > 1 && !strcmp(argv[1], "locked"))
        printf("locked: %ld pages\n", locked_pages(stack, STACK_SIZE));
    return 0;
}
