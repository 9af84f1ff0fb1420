// refused: process 2 \(posix_timer\), timer 0: POSIX timer
#include "../target.h"

static void target(void)
{
	timer_t t;
	struct itimerspec s = {{0}, {5000, 0}};
	must(timer_create(CLOCK_MONOTONIC, NULL, &t) == 0 && timer_settime(t, 0, &s, NULL) == 0);
	ready();
	check(timer_gettime(t, &s) == 0 && s.it_value.tv_sec > 4000, "it runs no more");
}
