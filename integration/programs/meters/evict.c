/*
 * The program itself takes away its alternate stack's pages, again and again; the
 * well-known reproducer of the defect does that with MADV_DONTNEED. Signals come from the
 * thread itself and from a timer. Usage: evict WAY
 */
#include "meter.h"

static void *stack;

static void evict(const char *way)
{
	if (!strcmp(way, "dontneed")) {
		if (madvise(stack, STACK_SIZE, MADV_DONTNEED))
			err(1, "madvise");
	} else if (!strcmp(way, "pageout")) {
		if (madvise(stack, STACK_SIZE, MADV_PAGEOUT) && errno != EINVAL)
			err(1, "madvise");
	} else if (!strcmp(way, "munlock")) {
		munlock(stack, STACK_SIZE);
		if (madvise(stack, STACK_SIZE, MADV_DONTNEED))
			err(1, "madvise");
	} else if (!strcmp(way, "munlockall")) {
		munlockall();
		if (madvise(stack, STACK_SIZE, MADV_DONTNEED))
			err(1, "madvise");
	} else if (!strcmp(way, "map-fixed")) {
		if (mmap(stack, STACK_SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			err(1, "mmap");
	} else
		errx(2, "what is %s?", way);
}

int main(int argc, char **argv)
{
	const char *way = argc > 1 ? argv[1] : "dontneed";

	setup();
	stack = map_stack(STACK_SIZE);
	register_stack(stack, STACK_SIZE);
	handle(SIGUSR1, count_delivery, SA_ONSTACK);

	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec often = { { 0, 500000 }, { 0, 500000 } };
	timer_t timer;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &often, NULL))
		err(1, "timer");

	begin();
	while (running()) {
		pass(SIGUSR1, 2000);
		evict(way);
	}
	finish();
}
