/*
 * An alternate stack of the size in old headers: MINSIGSTKSZ, 2048 bytes. Today's frame
 * does not fit; the memory below must not change. Prints registered=0|1 deliveries=N
 * overflowed=0|1.
 */
#include "meter.h"

#define SMALL 2048

int main(void)
{
	uint8_t *memory = map_stack(2 * STACK_SIZE), *stack = memory + 2 * STACK_SIZE - SMALL;
	stack_t ss = { .ss_sp = stack, .ss_size = SMALL };
	int registered, overflowed = 0;

	share_counts();
	memset(memory, 0xa5, 2 * STACK_SIZE - SMALL);
	registered = sigaltstack(&ss, NULL) == 0;
	handle(SIGUSR1, count_delivery, SA_ONSTACK);
	if (registered) {
		printf("registered=1 deliveries=0 overflowed=0\n"); /* printed if it dies now */
		fflush(stdout);
		raise(SIGUSR1);
	}
	for (uint8_t *p = memory; p < stack; p++)
		overflowed |= *p != 0xa5;
	printf("registered=%d deliveries=%lu overflowed=%d\n", registered, counts->deliveries,
	       overflowed);
	return 0;
}
