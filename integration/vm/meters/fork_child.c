/* A child takes its first signals after fork: its stack is copy-on-write. */
#include "meter.h"

int main(void)
{
	setup();
	register_stack(map_stack(STACK_SIZE), STACK_SIZE);
	handle(SIGUSR1, count_delivery, SA_ONSTACK);
	raise(SIGUSR1);

	begin();
	while (running()) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid == 0) {
			tie_to_parent();
			for (int i = 0; i < 3; i++)
				pass(SIGUSR1, 100);
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
	finish();
}
