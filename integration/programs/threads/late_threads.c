// late_threads LIBRARY: there are no threads until it loads the library. Before glibc 2.34 there is
// no libpthread until then. Fails if a lock remains when they have ended.
// build: -Wl,--as-needed -lc -ldl
// compared: elsewhere
#include "common.h"
#include <dlfcn.h>

int main(int argc, char **argv)
{
    dead_man(20);
    MUST(argc == 2);
    long before = status_kb("VmLck");
    void *library = dlopen(argv[1], RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 99;
    }
    void (*run_thread)(void *);
    *(void **)&run_thread = dlsym(library, "run_thread");
    MUST(run_thread);
    for (int i = 0; i < 4; i++)
        run_thread(fresh_pages(STACK_SIZE));
    long after = status_kb("VmLck");
    printf("locks left: %ld KiB\n", after - before);
    return after != before;
}
