/*
 * A signal arrives while the handler of another one runs, so its frame goes deeper into
 * the alternate stack. The registers are checked at both levels.
 */
#include "meter.h"

#define NESTED_SIZE 16384

static void outer(int sig)
{
	char local[3000]; /* a typical handler's local data */

	__asm__ volatile("" : : "r"(local) : "memory");
	count_delivery(sig);
	pass(SIGUSR2, 100);
	__asm__ volatile("" : : "r"(local) : "memory");
}

int main(void)
{
	setup();
	handle(SIGUSR1, outer, SA_ONSTACK);
	handle(SIGUSR2, count_delivery, SA_ONSTACK);

	begin();
	while (running()) {
		void *stack = map_stack(NESTED_SIZE);
		register_stack(stack, NESTED_SIZE);
		pass(SIGUSR1, 100);
		drop_stack();
		munmap(stack, NESTED_SIZE);
	}
	finish();
}
