// Makes a program's handlers on alternate stacks start as deep as beside a larger signal frame: with
// $SUITE_DEEP bytes between the top of the kernel's frame and the handler. It is preloaded before
// libsigward.so, which then sees the same calls as without it, and the program reads back the
// handlers that it set.
//
// The handler asks at each delivery whether it is on an alternate stack: another library may add
// SA_ONSTACK behind libc's back, as Go's does. The file $SUITE_DEEP_SEEN has two 64-bit words: how
// many handlers ran there, and the size of the smallest stack that the kernel had for them.
//
// gcc -O1 -shared -fPIC

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { SIGNALS = 65, PAGE = 4096 };

typedef int set(int, const struct sigaction *, struct sigaction *);
typedef void handler(int, siginfo_t *, void *);

static set *next, *next_internal;
static size_t deep;
static handler *handlers[SIGNALS];
static struct {
    uint64_t deliveries, smallest;
} unshared, *seen = &unshared;

// Not through libc's functions, which libsigward.so hooks.
static long raw(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return number;
}

__attribute__((constructor)) static void start(void)
{
    if (next)
        return;
    next_internal = (set *)dlsym(RTLD_NEXT, "__sigaction");
    next = (set *)dlsym(RTLD_NEXT, "sigaction");
    const char *text = getenv("SUITE_DEEP"), *file = getenv("SUITE_DEEP_SEEN");
    deep = text ? strtoul(text, NULL, 10) : 0;
    long fd = file ? raw(SYS_open, (long)file, O_RDWR | O_CLOEXEC, 0, 0, 0, 0) : -1;
    if (fd < 0)
        return;
    long map = raw(SYS_mmap, 0, sizeof unshared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map > 0)
        seen = (void *)map;
    raw(SYS_close, fd, 0, 0, 0, 0, 0);
}

// Calls the handler `room` bytes further down, and touches them from the top, as a handler with
// that many variables would.
__attribute__((noinline)) static void lower(int signal, siginfo_t *info, void *context, size_t room)
{
    volatile char *bytes = __builtin_alloca(room);
    for (size_t at = room; at > 0; at -= at < PAGE ? at : PAGE)
        bytes[at - 1] = 1;
    handlers[signal](signal, info, context);
    // Not a tail call: the bytes must stay.
    __asm__ volatile("" : : "r"(bytes) : "memory");
}

// The number of bytes from the top of the frame to `sp`. The extended state is the highest part of
// the frame; its size is in the bytes that FXSAVE leaves to software.
static size_t below_top(const ucontext_t *context, uintptr_t sp)
{
    enum { SOFTWARE = 464, MAGIC = 0x46505853, LEGACY = 512 };
    const char *state = (const char *)context->uc_mcontext.fpregs;
    uint32_t words[2];
    memcpy(words, state + SOFTWARE, sizeof words);
    return (uintptr_t)state + (words[0] == MAGIC ? words[1] : LEGACY) - sp;
}

static void trampoline(int signal, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uintptr_t sp = (uintptr_t)__builtin_frame_address(0);
    // Inside a handler the kernel shows a stack with SS_AUTODISARM only here.
    if (sp - (uintptr_t)uc->uc_stack.ss_sp >= uc->uc_stack.ss_size) {
        handlers[signal](signal, info, context);
        return;
    }
    __atomic_fetch_add(&seen->deliveries, 1, __ATOMIC_RELAXED);
    if (!seen->smallest || uc->uc_stack.ss_size < seen->smallest)
        seen->smallest = uc->uc_stack.ss_size;
    size_t used = below_top(uc, sp);
    lower(signal, info, context, used < deep ? deep - used : 0);
}

static int set_handler(set *set, int signal, const struct sigaction *act, struct sigaction *old)
{
    handler **known = signal > 0 && signal < SIGNALS ? &handlers[signal] : NULL;
    handler *before = known ? *known : NULL;
    struct sigaction ours;
    if (known && act && act->sa_handler != SIG_DFL && act->sa_handler != SIG_IGN) {
        ours = *act;
        ours.sa_sigaction = trampoline;
        // One that was set past us may have been read back from the kernel.
        if (act->sa_sigaction != trampoline)
            *known = act->sa_sigaction;
        act = &ours;
    }
    int result = set(signal, act, old);
    if (result && known)
        *known = before;
    if (!result && old && old->sa_sigaction == trampoline)
        old->sa_sigaction = before;
    return result;
}

int sigaction(int signal, const struct sigaction *act, struct sigaction *old)
{
    start();
    return set_handler(next, signal, act, old);
}

// Erlang's own sigaction calls it.
int __sigaction(int signal, const struct sigaction *act, struct sigaction *old)
{
    start();
    return set_handler(next_internal, signal, act, old);
}
