/*
 * Several threads register new alternate stacks, use them for a few signals and
 * release them. Usage: registrations mmap|malloc
 * malloc: stacks of odd sizes, which share pages with their neighbours.
 */
#include "meter.h"
#include <malloc.h>

#define THREADS 4

static int from_malloc;

static void *use_stacks(void *arg)
{
	size_t size = STACK_SIZE + (from_malloc ? 1000 * (size_t)arg : 0);

	while (running()) {
		void *stack = from_malloc ? malloc(size) : map_stack(size);
		if (!stack)
			err(1, "malloc");
		register_stack(stack, size);
		for (int i = 0; i < 3; i++)
			pass(SIGUSR1, 100);
		drop_stack();
		if (from_malloc) {
			free(stack);
			malloc_trim(0);
		} else
			munmap(stack, size);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];

	from_malloc = argc > 1 && !strcmp(argv[1], "malloc");
	mallopt(M_ARENA_MAX, 1);
	setup();
	handle(SIGUSR1, count_delivery, SA_ONSTACK);

	begin();
	for (size_t i = 0; i < THREADS; i++)
		threads[i] = start_thread(use_stacks, (void *)(i + 1));
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	finish();
}
