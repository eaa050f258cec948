// Asks the kernel for AMX, which it refuses while a thread has a small alternate stack.
// compared: elsewhere
#include "common.h"

enum { ARCH_GET_XCOMP_SUPP = 0x1021, ARCH_REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };

static pthread_barrier_t barrier;

static void *small(void *argument)
{
    *(int *)argument = (int)syscall(SYS_gettid);
    MUST(set_altstack(malloc(8192), 8192) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    MUST(drop_altstack() == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return NULL;
}

static int refused(void)
{
    errno = 0;
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == -1 ? errno : 0;
}

int main(void)
{
    dead_man(30);
    unsigned long features = 0;
    if (syscall(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &features) != 0 || !(features >> TILE_DATA & 1)) {
        printf("no such feature\n");
        return 0;
    }
    MUST(pthread_barrier_init(&barrier, NULL, 2) == 0);
    pthread_t thread;
    int tid;
    MUST(pthread_create(&thread, NULL, small, &tid) == 0);
    pthread_barrier_wait(&barrier);
    printf("with a small stack in thread %d: ", tid);
    printf("errno %d\n", refused());
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    printf("without: errno %d\n", refused());
    pthread_barrier_wait(&barrier);
    MUST(pthread_join(thread, NULL) == 0);
    return 0;
}
