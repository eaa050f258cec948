/* A thread takes signals while another one forks: its stack becomes copy-on-write. */
#include "meter.h"

static void *fork_often(void *arg)
{
	(void)arg;
	for (;;) {
		pid_t pid = fork();
		if (pid < 0)
			err(1, "fork");
		if (pid == 0)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

int main(void)
{
	setup();
	register_stack(map_stack(STACK_SIZE), STACK_SIZE);
	handle(SIGUSR1, count_delivery, SA_ONSTACK);
	start_thread(fork_often, NULL);

	begin();
	while (running())
		pass(SIGUSR1, 1000);
	finish();
}
