// Shared by the benchmark programs: a clock, and the minimum and median of many rounds.
#ifndef BENCH_H
#define BENCH_H

#include "common.h"
#include <time.h>

static int64_t now_by(clockid_t clock)
{
    struct timespec time;
    MUST(clock_gettime(clock, &time) == 0);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

static __attribute__((unused)) int64_t now(void) { return now_by(CLOCK_MONOTONIC); }

static int ascending(const void *one, const void *other)
{
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

// Prints the minimum and the median, in nanoseconds.
static void report(double *rounds, size_t count)
{
    qsort(rounds, count, sizeof *rounds, ascending);
    printf("%.2f %.2f\n", rounds[0], rounds[count / 2]);
}

#endif
