// What QEMU's coroutines need of the rest of QEMU, for one thread without an event loop.
#include "qemu/osdep.h"
#include "block/aio.h"
#include "qemu/coroutine_int.h"
#include "qemu/notify.h"
#include "qemu/thread.h"
#include <sys/mman.h>

enum { GUARD = 4096 };

// As QEMU does: the guard is a part of the range that becomes the alternate stack.
void *qemu_alloc_stack(size_t *size)
{
    *size += GUARD;
    void *stack = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert(stack != MAP_FAILED && mprotect(stack, GUARD, PROT_NONE) == 0);
    return stack;
}

void qemu_free_stack(void *stack, size_t size)
{
    munmap(stack, size);
}

AioContext *qemu_get_current_aio_context(void)
{
    return NULL;
}

// A coroutine that is woken by another runs when that one yields.
void aio_co_wake(Coroutine *woken)
{
    if (!qemu_in_coroutine())
        qemu_coroutine_enter(woken);
    else
        QSIMPLEQ_INSERT_TAIL(&qemu_coroutine_self()->co_queue_wakeup, woken, co_queue_next);
}

void qemu_thread_atexit_add(Notifier *notifier)
{
    (void)notifier;
}
