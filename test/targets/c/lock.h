// How targets see locks.

// locks are the lines "lock:" of a descriptor in /proc/self/fdinfo, without the
// number of the process, which in the host's /proc is another one afterwards.
static inline char *locks(int fd)
{
	char name[50], line[300], *all = calloc(1, 4000);
	snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
	FILE *f = fopen(name, "r");
	must(all && f);
	while (fgets(line, sizeof line, f))
	{
		char kind[20], state[20], type[20], rest[100];
		if (sscanf(line, "lock: %*d: %19s %19s %19s %*d %99[^\n]", kind, state, type, rest) == 4)
			snprintf(all + strlen(all), 4000 - strlen(all), "%s %s %s %s\n", kind, state, type, rest);
	}
	fclose(f);
	return all;
}

// record sets a record lock, or asks who has it.
static inline int record(int fd, int command, short type, off_t start, off_t length, pid_t *holder)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	int r = fcntl(fd, command, &l);
	if (holder)
		*holder = l.l_type == F_UNLCK ? 0 : l.l_pid;
	return r;
}
