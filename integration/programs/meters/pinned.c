/*
 * The meter itself locks the stack, so nothing ever faults. What is still lost is lost by
 * preemption inside the kernel, which user space cannot prevent.
 */
#include "meter.h"

int main(void)
{
	setup();
	void *stack = map_stack(STACK_SIZE);
	memset(stack, 0, STACK_SIZE);
	if (mlock(stack, STACK_SIZE))
		err(1, "mlock");
	register_stack(stack, STACK_SIZE);
	handle(SIGUSR1, count_delivery, SA_ONSTACK);

	begin();
	while (running())
		pass(SIGUSR1, 1);
	finish();
}
