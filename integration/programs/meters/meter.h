/*
 * Shared by the meters. A meter causes signals in one particular way, checks the
 * vector registers across each of them, and prints one line:
 *
 *   deliveries=N mismatches=N [frames=N faulted=N stale=N]
 *
 * deliveries and mismatches are the meter's own counts. The rest is what the test
 * kernel counted from begin() to finish(): signal frames written, frames that
 * faulted, and wrong register sets that it trusted. Other kernels count nothing,
 * and the fields are left out.
 *
 * With METER_CONTEND=1 faults are made to sleep, for kernels that have the defect
 * but not the test kernel's fpu_bug=2.
 */
#ifndef METER_H
#define METER_H

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STACK_SIZE 8192 /* SIGSTKSZ as compiled into old programs */

/* In memory shared with all children, so that they can count too. */
struct counts {
	atomic_ulong deliveries, mismatches;
};
static struct counts *counts;
static struct timespec deadline;
static unsigned long frames0, faulted0, stale0;
static pid_t noise[64];
static int noises;

static inline unsigned long kernel_count(const char *name)
{
	char path[96], text[24] = "";
	snprintf(path, sizeof path, "/sys/module/sigward/parameters/%s", name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof text - 1) < 0)
		text[0] = 0;
	close(fd);
	return strtoul(text, NULL, 10);
}

/* Dies with the parent, and never outlives the test. */
static inline void tie_to_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(60);
}

static inline void stay_on(long cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

/*
 * A process that shares its parent's memory and keeps the address-space lock busy, so
 * that a fault has to wait and other tasks run meanwhile. Uses bare system calls, because
 * it also shares errno, and a preloaded library must not see it.
 */
static inline long bare(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

static atomic_int contending;

static int contend(void *parent)
{
	/* Many pages; changing each takes the kernel a moment. */
	static uint8_t memory[1 << 20] __attribute__((aligned(4096)));
	static const unsigned long anywhere = ~0UL;

	bare(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0);
	bare(SYS_alarm, 60, 0, 0);
	bare(SYS_sched_setaffinity, 0, sizeof anywhere, (long)&anywhere);
	for (size_t i = 0; i < sizeof memory; i += 4096)
		memory[i] = 1;
	while (bare(SYS_getppid, 0, 0, 0) == (long)parent) {
		bare(SYS_mprotect, (long)memory, sizeof memory, PROT_READ);
		bare(SYS_mprotect, (long)memory, sizeof memory, PROT_READ | PROT_WRITE);
		contending = 1;
	}
	bare(SYS_exit, 0, 0, 0);
	return 0;
}

static inline void start_contention(void)
{
	static uint8_t stack[4096] __attribute__((aligned(16)));

	if (!getenv("METER_CONTEND"))
		return;
	contending = 0; /* after a fork it belongs to the parent */
	if (clone(contend, stack + sizeof stack, CLONE_VM | SIGCHLD, (void *)(long)getpid()) < 0)
		err(1, "clone");
	/* A task that returns to another CPU loses nothing. So it stays on one CPU, and so do
	 * its threads and children.
	 */
	stay_on(getpid() % sysconf(_SC_NPROCESSORS_ONLN));
	while (!contending)
		sched_yield();
}

/*
 * The corruption needs other tasks with other vector registers. On each CPU, one is
 * always ready, and one wakes up often and then runs first (if we may ask for that), so
 * that it preempts at any point.
 */
static inline void make_noise(long cpu, int wake)
{
	static const uint8_t other[32] __attribute__((aligned(32))) = "noise noise noise noise noise!!";
	const struct sched_param first = { .sched_priority = 1 };
	const struct timespec pause = { 0, 100000 };

	tie_to_parent();
	stay_on(cpu);
	if (wake)
		sched_setscheduler(0, SCHED_FIFO, &first);
	do {
		/* The loop has a branch, so that QEMU can interrupt it. */
		__asm__ volatile("vmovdqa %0, %%ymm0\n\t"
				 "vmovdqa %%ymm0, %%ymm3\n\t"
				 "vmovdqa %%ymm0, %%ymm7\n"
				 "1: test %1, %1\n\t"
				 "jz 1b"
				 : : "m"(other), "r"(wake) : "xmm0", "xmm3", "xmm7", "memory");
	} while (nanosleep(&pause, NULL) == 0);
	_exit(0);
}

static inline void start_noise(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (long i = 0; i < 2 * cpus && noises < 64; i++) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid == 0)
			make_noise(i / 2, i % 2);
		noise[noises++] = pid;
	}
}

static inline void share_counts(void)
{
	alarm(60);
	counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counts == MAP_FAILED)
		err(1, "mmap");
}

/* The first thing a meter does. */
static inline void setup(void)
{
	share_counts();
	start_noise();
	start_contention();
}

/* The measurement starts: by now, what is to be hardened is registered. */
static inline void begin(void)
{
	const char *ms = getenv("METER_MS");
	long length = ms ? atol(ms) : 1500;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += length / 1000;
	deadline.tv_nsec += length % 1000 * 1000000;
	frames0 = kernel_count("fpu_frames");
	faulted0 = kernel_count("fpu_retry");
	stale0 = kernel_count("fpu_stale");
}

/* Runs as long as requested, and on a slow machine until there is something to report. */
static inline int running(void)
{
	struct timespec now;

	if (counts && counts->deliveries < 30)
		return 1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - deadline.tv_sec) * 1000000000L + (now.tv_nsec - deadline.tv_nsec) < 0;
}

static inline void finish(void)
{
	printf("deliveries=%lu mismatches=%lu", counts->deliveries, counts->mismatches);
	if (access("/sys/module/sigward", F_OK) == 0)
		printf(" frames=%lu faulted=%lu stale=%lu", kernel_count("fpu_frames") - frames0,
		       kernel_count("fpu_retry") - faulted0, kernel_count("fpu_stale") - stale0);
	putchar('\n');
	fflush(stdout);
	/* Otherwise they would send signals during the next meter. */
	while (noises-- > 0) {
		kill(noise[noises], SIGKILL);
		waitpid(noise[noises], NULL, 0);
	}
	_exit(0);
}

/*
 * One check: fills the vector registers, loops, sends this thread `sig` (0: none), loops
 * again, and compares. The system call is made in the same block, so that the signal
 * arrives while the registers are filled; the loops are for signals from elsewhere.
 */
static inline void pass(int sig, long loops)
{
	static atomic_uint serial;
	uint8_t in[32] __attribute__((aligned(32))), out[3][32];
	long pid = getpid(), tid = gettid();
	unsigned number = serial++;

	for (unsigned i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)(i * 7 + number);
	memcpy(in, &tid, sizeof(int));
	__asm__ volatile("vmovdqu (%[in]), %%ymm0\n\t"
			 "vmovdqa %%ymm0, %%ymm3\n\t"
			 "vmovdqa %%ymm0, %%ymm7\n\t"
			 "mov %[loops], %%rcx\n"
			 "1: dec %%rcx\n\t"
			 "jnz 1b\n\t"
			 "mov %[tgkill], %%eax\n\t"
			 "syscall\n\t"
			 "mov %[loops], %%rcx\n"
			 "2: dec %%rcx\n\t"
			 "jnz 2b\n\t"
			 "vmovdqu %%ymm0, (%[out])\n\t"
			 "vmovdqu %%ymm3, 32(%[out])\n\t"
			 "vmovdqu %%ymm7, 64(%[out])\n\t"
			 "vzeroupper"
			 : : [in] "r"(in), [out] "r"(out), [loops] "r"(loops),
			     [tgkill] "i"(SYS_tgkill), "D"(pid), "S"(tid), "d"((long)sig)
			 : "rax", "rcx", "r11", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15", "memory", "cc");
	for (int i = 0; i < 3; i++)
		if (memcmp(in, out[i], sizeof in)) {
			counts->mismatches++;
			break;
		}
}

static inline void count_delivery(int sig)
{
	(void)sig;
	counts->deliveries++;
}

static inline void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags | SA_RESTART };
	if (sigaction(sig, &sa, NULL))
		err(1, "sigaction");
}

static inline void *map_stack(size_t size)
{
	void *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stack == MAP_FAILED)
		err(1, "mmap");
	return stack;
}

static inline void register_stack(void *stack, size_t size)
{
	stack_t ss = { .ss_sp = stack, .ss_size = size };
	if (sigaltstack(&ss, NULL))
		err(1, "sigaltstack");
}

static inline void drop_stack(void)
{
	stack_t ss = { .ss_flags = SS_DISABLE };
	if (sigaltstack(&ss, NULL))
		err(1, "sigaltstack(SS_DISABLE)");
}

static inline pthread_t start_thread(void *(*body)(void *), void *arg)
{
	pthread_t thread;
	if ((errno = pthread_create(&thread, NULL, body, arg)))
		err(1, "pthread_create");
	return thread;
}

/* Makes a child that takes signals as its parent does, and ends. */
static inline void signal_a_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		tie_to_parent();
		start_contention();
		for (int i = 0; i < 3; i++)
			pass(SIGUSR1, 100);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

#endif
