/*
 * A thread takes signals while another one forks: its stack becomes
 * copy-on-write. Usage: fork_parent mmap|malloc
 */
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

int main(int argc, char **argv)
{
	int from_malloc = argc > 1 && !strcmp(argv[1], "malloc");

	setup();
	register_stack(from_malloc ? malloc(STACK_SIZE) : map_stack(STACK_SIZE), STACK_SIZE);
	handle(SIGUSR1, count_delivery, SA_ONSTACK);
	start_thread(fork_often, NULL);

	begin();
	while (running())
		pass(SIGUSR1, 1000);
	finish();
}
