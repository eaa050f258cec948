// A program in whose scope nothing defines dlsym: it runs on a tiny C library of its own.
// build: -nostdlib -nostartfiles -ffreestanding -fno-stack-protector
// links: libtiny
// only: glibc
// only: 64-bit
// only: x86
#include <signal.h>

long tiny_call(long number, long a, long b, long c);

static char stack[65536] __attribute__((aligned(4096)));
static volatile int seen;

static void handler(int signal) { seen += signal == SIGUSR1; }

__attribute__((used)) static void start(void)
{
    stack_t new = {.ss_sp = stack, .ss_size = sizeof stack}, old = {0};
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    int failed = sigaltstack(&new, (void *)0) || sigaction(SIGUSR1, &action, (void *)0);
    tiny_call(200, tiny_call(186, 0, 0, 0), SIGUSR1, 0); // tkill(gettid(), SIGUSR1)
    failed |= sigaltstack((void *)0, &old) || old.ss_sp != stack || seen != 1;
    static const char good[] = "one signal\n", bad[] = "failed\n";
    if (failed)
        tiny_call(1, 1, (long)bad, sizeof bad - 1);
    else
        tiny_call(1, 1, (long)good, sizeof good - 1);
    tiny_call(231, failed, 0, 0);
}

__asm__(".globl _start; _start: xor %ebp, %ebp; and $-16, %rsp; call start; hlt");
