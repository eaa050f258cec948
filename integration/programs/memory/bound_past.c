// bound_past LIBRARY: the library's calls bind to libc directly and bypass every preload, by
// RTLD_DEEPBIND. It discards a stack's memory while the stack is set.
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
    int (*discard)(void *, size_t);
    *(void **)&discard = dlsym(library, "discard");
    MUST(discard);
    printf("%s\n", strerror(discard(stack, STACK_SIZE)));
    return 0;
}
