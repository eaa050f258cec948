/*
 * A process waits for its children with every wait function while it is stopped and
 * continued, and interrupted by a handler, over and over. Prints
 *
 *   calls=N spurious=N lost=N wrong=N overwritten=N restarts=N
 *
 * spurious: errors that the caller did not cause; lost: children reaped by a call
 * that failed; wrong: an incorrect pid, status or rusage; overwritten: writes to
 * memory outside the call's arguments (see CANARY); restarts: restarted calls whose
 * arguments the test kernel destroyed. One more field per function: failed/calls.
 */
#include "meter.h"
#include <sys/resource.h>

/* Where r10_garbage=0x10000000 of the test kernel points. */
#define CANARY ((uint8_t *)0x10000000)
#define CANARY_SIZE 4096

enum { WAIT, WAITPID, WAIT3, WAIT4, WAITID, WAITID_ALL, FUNCTIONS };
static const char *const names[FUNCTIONS] = { "wait", "waitpid", "wait3", "wait4", "waitid", "waitid-all" };

static struct result {
	atomic_ulong calls[FUNCTIONS], failed[FUNCTIONS], spurious, lost, wrong, overwritten;
} *result;

static void ignore(int sig)
{
	(void)sig;
}

/* Returns the pid that was reaped, or -1; its exit status in *code. */
static pid_t reap(int function, pid_t pid, int *code)
{
	struct rusage usage;
	siginfo_t info = { 0 };
	int status = 0;
	pid_t got;

	memset(&usage, 0xff, sizeof usage);
	switch (function) {
	case WAIT:
		got = wait(&status);
		break;
	case WAITPID:
		got = waitpid(pid, &status, 0);
		break;
	case WAIT3:
		got = wait3(&status, 0, &usage);
		break;
	case WAIT4:
		got = wait4(pid, &status, 0, &usage);
		break;
	default:
		if (waitid(function == WAITID ? P_PID : P_ALL, (id_t)pid, &info, WEXITED))
			return -1;
		*code = info.si_code == CLD_EXITED ? info.si_status : -1;
		return info.si_pid;
	}
	*code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	/* A call that has succeeded has also filled the rusage it was given. */
	if (got > 0 && (function == WAIT3 || function == WAIT4) && usage.ru_utime.tv_usec == -1)
		*code = -1;
	return got;
}

static void one_wait(int function, int code)
{
	int got_code = -1, failed = 1;
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (pid == 0) {
		usleep(3000);
		_exit(code);
	}
	errno = 0;
	pid_t got = reap(function, pid, &got_code);
	if (got < 0) {
		result->spurious++;
		/* Reaps it quietly; WNOHANG never sleeps, so it is never restarted. */
		while ((got = waitpid(pid, NULL, WNOHANG)) == 0)
			usleep(500);
		result->lost += got < 0 && errno == ECHILD;
	} else if (got != pid || got_code != code)
		result->wrong++;
	else
		failed = 0;
	for (int i = 0; i < CANARY_SIZE; i++)
		if (CANARY[i] != 0xa5) {
			result->overwritten++;
			memset(CANARY, 0xa5, CANARY_SIZE);
			failed = 1;
		}
	result->calls[function]++;
	result->failed[function] += failed;
}

static void work(void)
{
	tie_to_parent();
	if (mmap(CANARY, CANARY_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != CANARY)
		err(1, "mmap");
	memset(CANARY, 0xa5, CANARY_SIZE);
	for (int i = 0; running() || i < 40; i++)
		one_wait(i % FUNCTIONS, i & 0x7f);
	_exit(0);
}

int main(void)
{
	unsigned long calls = 0, restarts0;
	int status;

	alarm(60);
	result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED)
		err(1, "mmap");
	handle(SIGUSR1, ignore, 0); /* set before the worker starts */
	begin();
	restarts0 = kernel_count("r10_lost");
	pid_t worker = fork();
	if (worker < 0)
		err(1, "fork");
	if (worker == 0)
		work();

	/* The storm. WNOHANG, so that our own waits are not affected. */
	for (unsigned i = 0; waitpid(worker, &status, WNOHANG) == 0; i++) {
		if (i % 3) {
			kill(worker, SIGSTOP);
			usleep(300);
			kill(worker, SIGCONT);
		} else
			kill(worker, SIGUSR1);
		usleep(700);
	}
	if (status)
		errx(1, "the worker ended with status %#x", status);

	for (int i = 0; i < FUNCTIONS; i++)
		calls += result->calls[i];
	printf("calls=%lu spurious=%lu lost=%lu wrong=%lu overwritten=%lu restarts=%lu", calls,
	       result->spurious, result->lost, result->wrong, result->overwritten,
	       kernel_count("r10_lost") - restarts0);
	for (int i = 0; i < FUNCTIONS; i++)
		printf(" %s=%lu/%lu", names[i], result->failed[i], result->calls[i]);
	putchar('\n');
	return 0;
}
