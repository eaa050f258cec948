/*
 * Handlers without SA_ONSTACK: the frame goes below the deepest point that the
 * stack has reached so far, onto fresh pages.
 * Usage: ordinary_stack thread|main PAGES
 */
#include "meter.h"

static int pages;

/* One page deeper each time, without touching the page. */
static __attribute__((noinline)) void dig(int deeper)
{
	char untouched[4096 - 256];

	__asm__ volatile("" : : "r"(untouched) : "memory");
	pass(SIGUSR1, 100);
	if (deeper > 1)
		dig(deeper - 1);
	__asm__ volatile("" : : "r"(untouched) : "memory");
}

static void *dig_in_thread(void *arg)
{
	(void)arg;
	dig(pages);
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "usage: ordinary_stack thread|main PAGES");
	pages = atoi(argv[2]);
	/* A separate process for each new main stack: see below. */
	if (argc == 4 && !strcmp(argv[1], "dig")) {
		tie_to_parent();
		counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED,
			      atoi(argv[3]), 0);
		if (counts == MAP_FAILED)
			err(1, "mmap");
		handle(SIGUSR1, count_delivery, 0);
		start_contention();
		dig(pages);
		return 0;
	}

	setup();
	handle(SIGUSR1, count_delivery, 0);
	if (!strcmp(argv[1], "main")) {
		int shared = memfd_create("counts", 0);
		char number[12];

		snprintf(number, sizeof number, "%d", shared);
		if (shared < 0 || ftruncate(shared, sizeof *counts))
			err(1, "memfd");
		counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0);
		if (counts == MAP_FAILED)
			err(1, "mmap");
		begin();
		while (running()) {
			pid_t pid = fork();
			if (pid < 0)
				err(1, "fork");
			if (pid == 0) {
				execl("/proc/self/exe", argv[0], "dig", argv[2], number, (char *)NULL);
				err(1, "exec");
			}
			waitpid(pid, NULL, 0);
		}
	} else {
		begin();
		while (running())
			pthread_join(start_thread(dig_in_thread, NULL), NULL);
	}
	finish();
}
