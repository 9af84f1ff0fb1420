// What the kernel says of a mapping of ours.

// has_flag looks for one of smaps' VmFlags of the mapping that has an address.
static inline bool has_flag(const void *address, const char *flag)
{
	char line[4096];
	bool inside = false, found = false;
	FILE *f = fopen("/proc/self/smaps", "re");
	must(f);
	while (fgets(line, sizeof line, f)) {
		uintptr_t from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (inside && strncmp(line, "VmFlags:", 8) == 0)
			for (char *word = strtok(line + 8, " \n"); word; word = strtok(NULL, " \n"))
				found |= strcmp(word, flag) == 0;
	}
	fclose(f);
	return found;
}

// kib_of is one of smaps' amounts of the mapping that has an address: "Rss", "Swap".
static inline __attribute__((unused)) long kib_of(const void *address, const char *what)
{
	char line[4096], format[64];
	bool inside = false;
	long kib = -1;
	FILE *f = fopen("/proc/self/smaps", "re");
	must(f && snprintf(format, sizeof format, "%s: %%ld kB", what) > 0);
	while (kib < 0 && fgets(line, sizeof line, f)) {
		uintptr_t from, to;
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = (uintptr_t)address >= from && (uintptr_t)address < to;
		else if (inside)
			sscanf(line, format, &kib);
	}
	fclose(f);
	check(kib >= 0, "smaps tells no %s of the mapping of %p", what, address);
	return kib;
}
