// A program that handles the SIGSEGV of a full or write-protected stack. It makes a call with the
// stack pointer at every place where the stack can end during the call. Each try is in a child.
//   stack_room CALL          above a guard: how many were killed, and how many bytes the call uses
//   stack_room CALL written  on a stack that is write-protected, and opened page by page
// build: -Wl,-z,now -fno-stack-protector
// compared: elsewhere
#include "common.h"
#include <sched.h>
#include <setjmp.h>
#include <sys/shm.h>

// One mapping: a guard, the stack under test, and right above it an alternate stack. No frame
// reaches the alternate stack's lowest page, which is held like the rest.
static char *guard, *stack, *alternate, *other;
static sigjmp_buf back;
static volatile int ready;

extern pid_t _Fork(void) __attribute__((weak));

static void nothing(int signal) { (void)signal; }

static void *with_stack(void *theirs)
{
    MUST(set_altstack(theirs, STACK_SIZE) == 0);
    ready = 1;
    pause();
    return NULL;
}

static void *without(void *unused) { return unused; }

// What the calls need is not on the stack.
static pthread_t thread;
static stack_t described;
static struct sigaction action, before;
static int status;
static pid_t child;

static void swap_stacks(void)
{
    described = (stack_t){.ss_sp = other, .ss_size = STACK_SIZE};
    sigaltstack(&described, NULL);
    described.ss_sp = alternate;
    sigaltstack(&described, NULL);
}

static void handle(void)
{
    action.sa_handler = nothing;
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR2, &action, &before);
}

static void fork_once(void)
{
    child = fork();
    if (child == 0)
        _exit(0);
    waitpid(child, &status, 0);
    if (status != 0)
        raise(SIGKILL);
}

static void fork_bare(void)
{
    // glibc has no _Fork before 2.34.
    child = _Fork ? _Fork() : fork();
    if (child == 0)
        _exit(0);
    waitpid(child, &status, 0);
    if (status != 0)
        raise(SIGKILL);
}

static void replace(void)
{
    mmap(alternate, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void set_signal(void) { signal(SIGUSR2, nothing); }
static void discard(void) { madvise(alternate, PAGE, MADV_DONTNEED); }
static void give_others(void) { madvise(other, STACK_SIZE, MADV_DONTNEED); }
static void give_by_number(void) { syscall(SYS_madvise, alternate, PAGE, MADV_DONTNEED); }
static void page_out(void) { madvise(alternate, PAGE, 21 /* MADV_PAGEOUT */); }
static void page_out_own(void) { madvise(stack, STACK_SIZE + PAGE, 21 /* MADV_PAGEOUT */); }
static void unmap(void) { munmap(alternate, PAGE); }
static void protect(void) { mprotect(alternate, PAGE, PROT_READ | PROT_WRITE); }
static void protect_own(void) { mprotect(stack, STACK_SIZE + PAGE, PROT_READ | PROT_WRITE); }
static void remap(void) { mremap(alternate, PAGE, PAGE, 0); }
static void lock(void) { mlock(other, PAGE); }
static void unlock(void) { munlock(alternate, PAGE); }
static void unlock_all(void) { munlockall(); }
static void grow(void) { sbrk(PAGE); }
static void detach(void) { shmdt(stack); }
static void by_vector(void)
{
    static struct iovec part;
    part = (struct iovec){.iov_base = alternate, .iov_len = PAGE};
    syscall(SYS_process_madvise, -1, &part, 1, 21 /* MADV_PAGEOUT */, 0);
}
static void wait_for_child(void) { waitpid(-1, &status, 0); }
static void start(void)
{
    if (pthread_create(&thread, NULL, without, NULL) == 0)
        pthread_join(thread, NULL);
}

static const struct {
    const char *name;
    void (*call)(void);
} calls[] = {
    {"sigaltstack", swap_stacks},
    {"sigaction", handle},
    {"signal", set_signal},
    {"fork", fork_once},
    {"_Fork", fork_bare},
    {"madvise", discard},
    {"madvise-other", give_others},
    {"madvise-by-number", give_by_number},
    {"pageout", page_out},
    {"pageout-own", page_out_own},
    {"munmap", unmap},
    {"mprotect", protect},
    {"mprotect-own", protect_own},
    {"mmap", replace},
    {"mremap", remap},
    {"mlock", lock},
    {"munlock", unlock},
    {"munlockall", unlock_all},
    {"sbrk", grow},
    {"shmdt", detach},
    {"process_madvise", by_vector},
    {"waitpid", wait_for_child},
    {"pthread_create", start},
};

static void overflowed(int signal)
{
    (void)signal;
    siglongjmp(back, 1);
}

static void written(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    uintptr_t page = (uintptr_t)info->si_addr & ~(PAGE - 1);
    if (page < (uintptr_t)stack || page >= (uintptr_t)alternate + PAGE)
        _exit(98);
    raw_call(SYS_mprotect, page, PAGE, PROT_READ | PROT_WRITE, 0);
}

static void prepare(int protects)
{
    guard = plain_pages(PAGE + 2 * STACK_SIZE);
    stack = guard + PAGE, alternate = stack + STACK_SIZE;
    MUST(mprotect(guard, PAGE, PROT_NONE) == 0);
    memset(stack, 0, STACK_SIZE);
    other = plain_pages(STACK_SIZE);
    MUST(set_altstack(alternate, STACK_SIZE) == 0);
    struct sigaction handler;
    memset(&handler, 0, sizeof handler);
    if (protects)
        handler.sa_sigaction = written;
    else
        handler.sa_handler = overflowed;
    handler.sa_flags = SA_ONSTACK | (protects ? SA_SIGINFO : 0);
    MUST(sigaction(SIGSEGV, &handler, NULL) == 0);
}

static void (*chosen)(void);

// What a checkpoint does, followed by the call: the hook of mprotect returns over a stack that it
// has just made read-only.
static void protect_and_call(void)
{
    mprotect(stack, STACK_SIZE + PAGE, PROT_READ);
    chosen();
}

// How a child at `sp` ends: 'k'illed, by an 'o'verflow, or as if there was 'r'oom.
static char try(char *sp, int protects)
{
    fflush(stdout);
    pid_t tried = fork();
    if (tried == 0) {
        if (chosen == give_others) {
            MUST(pthread_create(&thread, NULL, with_stack, other) == 0);
            while (!ready)
                sched_yield();
        }
        if (sigsetjmp(back, 1))
            _exit(7);
        if (protects == 1)
            raw_call(SYS_mprotect, (long)stack, STACK_SIZE + PAGE, PROT_READ, 0);
        stand_on(sp, protects == 2 ? protect_and_call : chosen);
        _exit(0);
    }
    int how;
    MUST(tried > 0 && waitpid(tried, &how, 0) == tried);
    return how == 0 ? 'r' : WIFEXITED(how) && WEXITSTATUS(how) == 7 ? 'o' : 'k';
}

int main(int count, char **words)
{
    dead_man(300);
    for (size_t i = 0; count > 1 && i < sizeof calls / sizeof *calls; i++)
        if (!strcmp(calls[i].name, words[1]))
            chosen = calls[i].call;
    MUST(chosen);
    int killed = 0, protects = count > 2;
    prepare(protects);
    if (protects) {
        for (size_t down = 0; down < PAGE; down += 16)
            for (int by = 1; by <= 2; by++)
                killed += try(alternate - 2 * PAGE - down, by) != 'r';
        printf("killed %d\n", killed);
        return 0;
    }
    size_t needed = 0;
    // If there was room several times in a row, there will always be.
    for (size_t left = 16; left < needed + 24 * 16; left += 16) {
        char how = try(stack + left, 0);
        killed += how == 'k';
        if (how != 'r')
            needed = left + 16;
    }
    printf("killed %d needed %zu\n", killed, needed);
    return 0;
}
