// User namespaces, for the targets that have them.
static inline void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd >= 0, "open %s: %s", path, strerror(errno));
	check(write(fd, text, strlen(text)) == (ssize_t)strlen(text), "write %s: %s", path, strerror(errno));
	close(fd);
}

// text_of is what is in a file, without its end.
static inline char *text_of(const char *path)
{
	char *text = calloc(1, 8192);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return sprintf(text, "%s: %s", path, strerror(errno)), text;
	ssize_t n = read(fd, text, 8191);
	must(n >= 0 && close(fd) == 0);
	return text;
}

// lines_of are the lines of a process's status that begin with one of some words.
static inline char *lines_of(const char *pid, const char *words)
{
	char path[64], *text, *rest, *all = calloc(1, 8192);
	snprintf(path, sizeof path, "/proc/%s/status", pid);
	text = text_of(path);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		char word[64];
		snprintf(word, sizeof word, " %.*s ", (int)strcspn(line, ":"), line);
		if (strstr(words, word))
			strcat(strcat(all, line), "\n");
	}
	free(text);
	return all;
}

// identity is all that a process can see of who it is.
static inline char *identity(void)
{
	char *all = calloc(1, 32768);
	strcat(all, text_of("/proc/self/uid_map"));
	strcat(all, text_of("/proc/self/gid_map"));
	strcat(all, text_of("/proc/self/setgroups"));
	strcat(all, lines_of("self", " Uid Gid Groups CapInh CapPrm CapEff CapBnd CapAmb NoNewPrivs "));
	sprintf(all + strlen(all), "securebits %d dumpable %d\n", prctl(PR_GET_SECUREBITS), prctl(PR_GET_DUMPABLE));
	return all;
}

static inline void as_before(const char *before, const char *what)
{
	char *now = identity();
	check(strcmp(now, before) == 0, "%s: it is now\n%s, was\n%s", what, now, before);
}

// in_proc is the number that /proc has for who asks: it may be of another pid
// namespace.
static inline int in_proc(void)
{
	char text[32] = "";
	if (readlink("/proc/self", text, sizeof text - 1) <= 0)
		skip("no /proc is mounted");
	return atoi(text);
}

// new_users makes a user namespace and maps what its parent writes: a process of
// the one around it.
static inline void new_users(const char *uids, const char *gids, bool deny)
{
	int asks[2];
	int self = in_proc();
	must(pipe2(asks, O_CLOEXEC) == 0);
	pid_t writer = fork();
	must(writer >= 0);
	if (writer == 0) {
		char b, path[64];
		if (read(asks[0], &b, 1) != 1)
			_exit(1);
		if (deny) {
			snprintf(path, sizeof path, "/proc/%d/setgroups", self);
			write_to(path, "deny");
		}
		if (*uids) {
			snprintf(path, sizeof path, "/proc/%d/uid_map", self);
			write_to(path, uids);
		}
		if (*gids) {
			snprintf(path, sizeof path, "/proc/%d/gid_map", self);
			write_to(path, gids);
		}
		_exit(0);
	}
	if (unshare(CLONE_NEWUSER) != 0)
		skip("unshare(CLONE_NEWUSER): %s", strerror(errno));
	must(prctl(PR_SET_DUMPABLE, 1) == 0); // so that its files are its owner's
	must(write(asks[1], "x", 1) == 1);
	check(ended(writer) == 0, "the maps could not be written");
	close(asks[0]);
	close(asks[1]);
}
