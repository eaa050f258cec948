// Long vectors and a small alternate stack: the frame of a signal that interrupts code with vectors holds the vector
// registers: 9 KiB of them where a vector has 256 bytes (SVE of 64-bit ARM), 4 KiB where it has 128 (RISC-V). A system
// call drops them, so the signals come from a timer. Prints how many signals there were, how many bytes of vectors they
// changed, and whether the handler ran on the program's stack.
// Arguments: bytes of the stack; "later" sets the length after the stack, where it can be set.
// not: x86
// compared: elsewhere
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#ifndef PR_SVE_SET_VL
#define PR_SVE_SET_VL 50
#endif
enum { LENGTH = 256, SIGNALS = 20 };

static volatile int handled;
static char *volatile seen;

static void handler(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    seen = context;
    handled++;
}

// Bytes in which the pattern differs after a while in which signals arrive. The compiler may use the registers
// at any call, so all is one block.
static unsigned long differs(void)
{
    unsigned long found;
#ifdef __riscv
    __asm__ volatile(".option push\n .option arch, +v\n"
                     "vsetvli t0, zero, e8, m1, ta, ma\n vmv.v.i v8, 7\n vmv.v.i v31, 9\n"
                     "li t1, 0xffff\n 1: addi t1, t1, -1\n bnez t1, 1b\n"
                     "vmsne.vi v1, v8, 7\n vcpop.m %0, v1\n"
                     "vmsne.vi v1, v31, 9\n vcpop.m t1, v1\n add %0, %0, t1\n .option pop\n"
                     : "=&r"(found) : : "t0", "t1", "memory");
#else
    __asm__ volatile("ptrue p0.b\n dup z8.b, #7\n dup z31.b, #9\n"
                     "mov x1, #0xffff\n 1: subs x1, x1, #1\n b.ne 1b\n"
                     "cmpne p1.b, p0/z, z8.b, #7\n cntp %0, p0, p1.b\n"
                     "cmpne p1.b, p0/z, z31.b, #9\n cntp x1, p0, p1.b\n add %0, %0, x1\n"
                     : "=&r"(found) : : "x1", "v8", "v31", "p0", "p1", "cc", "memory");
#endif
    return found;
}

static int set_length(void)
{
#ifdef __riscv
    return 0; // it is what the processor has
#endif
    return prctl(PR_SVE_SET_VL, LENGTH) == -1;
}

int main(int argc, char **argv)
{
    size_t size = argc > 1 ? strtoul(argv[1], NULL, 0) : 8192;
    int later = argc > 2 && !strcmp(argv[2], "later");
    long page = sysconf(_SC_PAGESIZE);
    size_t room = (size + page - 1) / page * page;

    if (!later && set_length())
        return 99;
    // The stack begins right above a guard.
    char *start = mmap(NULL, page + room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED || mprotect(start + page, room, PROT_READ | PROT_WRITE))
        return 99;
    stack_t stack = {.ss_sp = start + page, .ss_size = size};
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    struct itimerval often = {{0, 3000}, {0, 3000}};
    if (sigaltstack(&stack, NULL) || sigaction(SIGALRM, &action, NULL))
        return 98;
    if (later && set_length())
        return 99;
    setitimer(ITIMER_REAL, &often, NULL);
    unsigned long lost = 0;
    while (handled < SIGNALS)
        lost += differs();
    int own = seen >= (char *)stack.ss_sp && seen < (char *)stack.ss_sp + size;
    printf("%d signals, %lu bytes lost, on its own stack: %d\n", handled, lost, own);
    return lost != 0;
}
