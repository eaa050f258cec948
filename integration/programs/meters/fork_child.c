/* A child takes its first signals after fork: its stack is copy-on-write. */
#include "meter.h"

int main(void)
{
	setup();
	register_stack(map_stack(STACK_SIZE), STACK_SIZE);
	handle(SIGUSR1, count_delivery, SA_ONSTACK);
	raise(SIGUSR1);

	begin();
	while (running())
		signal_a_child();
	finish();
}
