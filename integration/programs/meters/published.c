/*
 * The shape of the reproducer published with kernel bug 205663: on each CPU several
 * processes, each with a thread that sends signals, vector instructions without a branch,
 * and MADV_DONTNEED on the alternate stack. QEMU delivers no signal within such code
 * unless run with -singlestep.
 */
#include "meter.h"

static pthread_t target;

static void *send(void *arg)
{
	(void)arg;
	for (;;) {
		usleep(100);
		pthread_kill(target, SIGWINCH);
	}
	return NULL;
}

static void straight_line(void)
{
	uint8_t in[32], out[32];
	pid_t pid = getpid();

	for (unsigned i = 0; i < sizeof in; i++)
		in[i] = (uint8_t)i;
	memcpy(in, &pid, sizeof pid);
	for (int i = 0; i < 50; i++) {
		__asm__ volatile("vmovdqu %1, %%ymm0\n\t"
				 ".rept 32\n\t"
				 "vmovdqa %%ymm0, %%ymm1\n\t"
				 "vmovdqa %%ymm1, %%ymm2\n\t"
				 "vmovdqa %%ymm2, %%ymm0\n\t"
				 ".endr\n\t"
				 "vmovdqu %%ymm2, %0"
				 : "=m"(out) : "m"(in) : "xmm0", "xmm1", "xmm2");
		if (memcmp(in, out, sizeof in))
			counts->mismatches++;
	}
}

int main(void)
{
	share_counts();
	begin();
	for (long i = sysconf(_SC_NPROCESSORS_ONLN); i-- > 0;) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid > 0)
			continue;
		tie_to_parent();
		void *stack = map_stack(STACK_SIZE);
		register_stack(stack, STACK_SIZE);
		handle(SIGWINCH, count_delivery, SA_ONSTACK);
		target = pthread_self();
		start_thread(send, NULL);
		while (running()) {
			straight_line();
			if (madvise(stack, STACK_SIZE, MADV_DONTNEED))
				err(1, "madvise");
		}
		_exit(0);
	}
	int status, bad = 0;
	for (long i = sysconf(_SC_NPROCESSORS_ONLN); i-- > 0;)
		bad |= wait(&status) < 0 || status;
	if (bad)
		errx(1, "a process failed");
	finish();
}
