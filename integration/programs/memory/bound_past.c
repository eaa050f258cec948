// bound_past LIBRARY: the library's calls bind to libc directly and bypass every preload, by
// RTLD_DEEPBIND. It gives a stack's memory back while the stack is set.
// build: -ldl
// only: glibc
// compared: elsewhere
#include "common.h"
#include <dlfcn.h>

int main(int argc, char **argv)
{
    dead_man(20);
    MUST(argc == 2);
    char *stack = plain_pages(STACK_SIZE);
    MUST(set_altstack(stack, STACK_SIZE) == 0);
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_DEEPBIND);
    MUST(library);
    int (*give_back)(void *, size_t);
    *(void **)&give_back = dlsym(library, "give_back");
    MUST(give_back);
    printf("%s\n", strerror(give_back(stack, STACK_SIZE)));
    return 0;
}
