// System calls that only 32-bit x86 still has, through syscall(2): the stacks of their handlers, and a
// mapping, must be seen like those of the calls that replaced them. Deliveries are counted by a test.
//   sigaction   a handler with SA_ONSTACK, on a stack that was set past libc
//   ordinary    a handler without it, on the ordinary stack
//   signal      the same by signal(2)
//   mmap        MAP_FIXED over the stack
//   onstack     by both, handlers without the flag; stderr says whether they ran on the stack
// build: -fno-stack-clash-protection
// only: 32-bit
// compared: elsewhere
#include "scenario.h"

struct old_action {
    void (*handler)(int);
    unsigned long mask, flags;
    void (*restorer)(void);
};

// Below all that the start of the program has used.
static void deliver_far_below(void (*before_each)(void))
{
    for (size_t depth = 0; depth <= 30; depth += 6) {
        before_each();
        deliver_deep(depth * 1024);
    }
}

static void nothing(void) {}

static void by_sigaction(unsigned long flags)
{
    struct old_action action = {count, 0, flags, NULL}, old;
    MUST(syscall(SYS_sigaction, SIGUSR2, &action, NULL) == 0);
    MUST(syscall(SYS_sigaction, SIGUSR2, NULL, &old) == 0);
    printf("handler %d flags %#lx\n", old.handler == count, old.flags & SA_ONSTACK);
    printf("bad signal: %ld", syscall(SYS_sigaction, 99, &action, NULL));
    printf(" %s\n", strerror(errno));
}

static void on_a_stack(void)
{
    MUST(raw_set_altstack(plain_pages(STACK_SIZE), STACK_SIZE) == 0);
    by_sigaction(SA_ONSTACK);
    deliver();
}

static void ordinary(void)
{
    by_sigaction(0);
    deliver_far_below(nothing);
}

// Such a handler serves one signal.
static void set(void) { MUST(syscall(SYS_signal, SIGUSR2, count) == 0); }

static void by_signal(void) { deliver_far_below(set); }

static void mapped_over(void)
{
    char *stack = plain_pages(STACK_SIZE);
    warm_up(stack, STACK_SIZE);
    long words[6] = {(long)stack, STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0};
    printf("%d\n", syscall(SYS_mmap, words) == (long)stack);
    printf("bad words: %ld", syscall(SYS_mmap, NULL));
    printf(" %s\n", strerror(errno));
    deliver();
}

static volatile int on_stack;

static void look(int signal)
{
    stack_t now;
    (void)signal;
    on_stack = sigaltstack(NULL, &now) == 0 && now.ss_flags & SS_ONSTACK;
}

static void where(const char *call)
{
    on_stack = -1;
    MUST(raise(SIGUSR1) == 0);
    fprintf(stderr, "%s: on the stack %d\n", call, on_stack);
}

static void without_the_flag(void)
{
    struct old_action action = {look, 0, 0, NULL}, old;
    MUST(set_altstack(fresh_pages(STACK_SIZE), STACK_SIZE) == 0);
    MUST(syscall(SYS_sigaction, SIGUSR1, &action, NULL) == 0);
    MUST(syscall(SYS_sigaction, SIGUSR1, NULL, &old) == 0);
    printf("handler %d flags %#lx\n", old.handler == look, old.flags & SA_ONSTACK);
    where("sigaction");
    printf("signal: %d\n", syscall(SYS_signal, SIGUSR1, look) == (long)look);
    where("signal");
}

int main(int argc, char **argv)
{
    static const struct scenario all[] = {
        {"sigaction", on_a_stack},
        {"ordinary", ordinary},
        {"signal", by_signal},
        {"mmap", mapped_over},
        {"onstack", without_the_flag},
        {NULL, NULL},
    };
    return run_scenario(argc, argv, all);
}
