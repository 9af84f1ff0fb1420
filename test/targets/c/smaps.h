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
