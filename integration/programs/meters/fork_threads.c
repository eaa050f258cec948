/*
 * A program with several threads forks. Meanwhile its threads take signals on their own
 * alternate stacks, and so does the child.
 */
#include "meter.h"

static void *take_signals(void *arg)
{
	(void)arg;
	register_stack(map_stack(STACK_SIZE), STACK_SIZE);
	for (;;)
		pass(SIGUSR1, 1000);
	return NULL;
}

int main(void)
{
	setup();
	register_stack(map_stack(STACK_SIZE), STACK_SIZE);
	handle(SIGUSR1, count_delivery, SA_ONSTACK);
	for (int i = 0; i < 3; i++)
		start_thread(take_signals, NULL);
	while (counts->deliveries < 30)
		usleep(1000);

	begin();
	while (running())
		signal_a_child();
	finish();
}
