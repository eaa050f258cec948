// late_names LIBRARY...: names that libc lacks, defined by libraries that come and go. Each library
// calls thrd_create, which returns a number, and process_madvise. The first library may already be
// open. When one is gone, the program calls whatever other definition is found.
// build: -ldl
// only: glibc
// compared: elsewhere
#include "common.h"
#include <dlfcn.h>
#include <sys/uio.h>

extern int thrd_create(void *, void *, void *) __attribute__((weak));
extern ssize_t process_madvise(int, const struct iovec *, size_t, int, unsigned) __attribute__((weak));

static void call(const char *when)
{
    printf("%s:", when);
    if (thrd_create)
        printf(" thrd_create %d", thrd_create(NULL, NULL, NULL));
    errno = 0;
    if (process_madvise) {
        ssize_t result = process_madvise(-1, NULL, 0, 0, 0);
        printf(" process_madvise %zd %s", result, strerror(errno));
    }
    printf("\n");
}

int main(int argc, char **argv)
{
    dead_man(20);
    void **opened = dlsym(RTLD_DEFAULT, "opened");
    if (!opened)
        call("at first");
    for (int which = 1; which < argc; which++) {
        void *library = opened && which == 1 ? *opened : dlopen(argv[which], RTLD_NOW);
        MUST(library);
        void (*call_own)(void);
        *(void **)&call_own = dlsym(library, "call_own");
        MUST(call_own);
        call_own();
        MUST(dlclose(library) == 0);
        printf("gone: %d\n", !dlopen(argv[which], RTLD_NOW | RTLD_NOLOAD));
        call("then");
    }
    return 0;
}
