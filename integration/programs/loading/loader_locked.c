// First calls of functions, by a thread and by a handler, while another thread holds the loader's
// lock until they return: none may wait for it.
// build: -ldl
// compared: elsewhere
#include "common.h"
#include <dlfcn.h>
#include <link.h>

static pthread_barrier_t barrier;

// glibc calls this while holding the lock.
static int hold(struct dl_phdr_info *info, size_t size, void *nothing)
{
    (void)info, (void)size, (void)nothing;
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return 1;
}

static void *holder(void *nothing)
{
    dl_iterate_phdr(hold, NULL);
    return nothing;
}

static char *stack, *page;
// Not every libc has these. If libc lacks them, the library defines them, and they must
// reach the kernel.
static ssize_t (*advise)(int, void *, size_t, int, unsigned);
static int (*protect)(void *, size_t, int, int);
static void *(*map)(void *, size_t, int, int, int, int64_t);
static int failed;

static void expect(int good) { failed = failed * 2 + !good; }

static void call(void)
{
    int status;
    expect(set_altstack(stack, STACK_SIZE) == 0);
    expect(mlock(page, PAGE) == 0);
    expect(munlock(page, PAGE) == 0);
    expect(madvise(page, PAGE, MADV_DONTNEED) == 0);
    expect(mprotect(page, PAGE, PROT_READ) == 0);
    expect(waitpid(-1, &status, WNOHANG) == -1 && errno == ECHILD);
    errno = 0;
    long error = -raw_call(SYS_process_madvise, -1, 0, 0, 0);
    expect(!advise || (advise(-1, NULL, 0, 0, 0) == -1 && errno == error));
    errno = 0;
    error = -raw_call(SYS_pkey_mprotect, (long)page, PAGE, PROT_READ, -1);
    expect(!protect || (protect(page, PAGE, PROT_READ | PROT_WRITE, -1) == (error ? -1 : 0) && errno == error));
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
    expect(!map || map(NULL, PAGE, PROT_READ, flags, -1, 0) != MAP_FAILED);
    expect(drop_altstack() == 0);
}

static void handler(int signal)
{
    (void)signal;
    call();
}

int main(void)
{
    dead_man(20);
    pthread_t thread;
    stack = fresh_pages(STACK_SIZE);
    page = fresh_pages(PAGE);
    *(void **)&advise = dlsym(RTLD_DEFAULT, "process_madvise");
    *(void **)&protect = dlsym(RTLD_DEFAULT, "pkey_mprotect");
    *(void **)&map = dlsym(RTLD_DEFAULT, "mmap64");
    MUST(pthread_barrier_init(&barrier, NULL, 2) == 0);
    MUST(pthread_create(&thread, NULL, holder, NULL) == 0);
    pthread_barrier_wait(&barrier);
    call();
    struct sigaction action = {.sa_handler = handler};
    MUST(sigaction(SIGUSR1, &action, NULL) == 0);
    MUST(raise(SIGUSR1) == 0);
    pthread_barrier_wait(&barrier);
    MUST(pthread_join(thread, NULL) == 0);
    printf("failed: %d\n", failed);
    return failed != 0;
}
