// For targets about memory that processes share since a fork (copy-on-write).

// family is what relatives tell each other. Each measures itself: /proc may be
// that of another pid namespace, but for /proc/self.
struct family {
	atomic_int ready, look;        // how many are ready; what they are to do
	atomic_int asked, answered;    // for their sizes
	atomic_llong pss;              // bytes
	atomic_int wrong[8];           // what those found who have nobody to tell by their end
};

static inline void await(atomic_int *word, int value)
{
	while (atomic_load(word) < value)
		sleep_ms(1);
}

// pss is how many bytes of memory a process takes: what several share counts for
// each of them in part (/proc/PID/smaps_rollup).
static inline long long pss(void)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/smaps_rollup", "re");
	must(f);
	while (kib < 0 && fgets(line, sizeof line, f))
		sscanf(line, "Pss: %ld kB", &kib);
	fclose(f);
	check(kib >= 0, "smaps_rollup tells no Pss");
	return kib * 1024LL;
}

// member says that a relative is ready, and tells its size whenever it is asked,
// until it is to look.
static inline void member(struct family *f)
{
	atomic_fetch_add(&f->ready, 1);
	for (int told = 0; !atomic_load(&f->look); sleep_ms(1))
		if (told < atomic_load(&f->asked)) {
			told++;
			atomic_fetch_add(&f->pss, pss());
			atomic_fetch_add(&f->answered, 1);
		}
}

// pss_of_all is what the members and we ourselves take together.
static inline double pss_of_all(struct family *f, int members)
{
	atomic_store(&f->pss, pss());
	atomic_store(&f->answered, 0);
	atomic_fetch_add(&f->asked, 1);
	await(&f->answered, members);
	return atomic_load(&f->pss);
}

// same_pss checks that an amount of memory is what it was, within 5 %.
static inline void same_pss(double before, double after, const char *whose)
{
	check(after < before * 1.05 && after > before * 0.95, "%s takes %.2f MiB of memory instead of %.2f", whose,
	      after / 1048576, before / 1048576);
}
