// What is mounted below a directory, as mountinfo tells it, and what a tree of
// files is like.
#include <dirent.h>
#include <sys/mount.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

// own_mounts gives the caller a mount namespace of its own, and keeps what is
// mounted from the host.
static inline void own_mounts(void)
{
	must(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
}

// group numbers a peer group by when it was seen first.
static inline int group(char *field, const char *key, int *seen, int *n)
{
	char *at = strstr(field, key);
	if (!at)
		return 0;
	int id = atoi(at + strlen(key));
	for (int i = 0; i < *n; i++)
		if (seen[i] == id)
			return i + 1;
	must(*n < 100);
	seen[(*n)++] = id;
	return *n;
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

// mounts_below describes the mounts whose place has a text in it, of a process:
// place, place of the parent, root, options, groups, type, source, options of
// the file system, a line each.
static inline char *mounts_below(const char *pid, const char *part)
{
	enum { MOST = 1000 };
	static struct { int id, parent; char root[512], place[512], options[256], fields[256], type[64], source[512], super[512]; } m[MOST];
	char name[64], line[4096];
	int n = 0, seen[100], groups = 0, lines = 0;
	snprintf(name, sizeof name, "/proc/%s/mountinfo", pid);
	FILE *f = fopen(name, "re");
	if (!f)
		skip("no /proc is mounted");
	for (; fgets(line, sizeof line, f); n++) {
		must(n < MOST);
		char *dash = strstr(line, " - ");
		must(dash);
		*dash = 0;
		int at = 0;
		must(sscanf(line, "%d %d %*s %511s %511s %255s%n", &m[n].id, &m[n].parent, m[n].root, m[n].place, m[n].options, &at) == 5);
		snprintf(m[n].fields, sizeof m[n].fields, "%s", line + at);
		must(sscanf(dash + 3, "%63s %511s %511s", m[n].type, m[n].source, m[n].super) == 3);
	}
	fclose(f);
	char **text = calloc(MOST, sizeof *text);
	for (int i = 0; i < n; i++) {
		const char *parent = "?";
		for (int j = 0; j < n; j++)
			if (m[j].id == m[i].parent)
				parent = m[j].place;
		if (!strstr(m[i].place, part))
			continue;
		int shared = group(m[i].fields, "shared:", seen, &groups), master = group(m[i].fields, "master:", seen, &groups);
		must(asprintf(&text[lines++], "%s on %s: %s %s shared %d master %d%s, %s %s %s\n", m[i].place, parent, m[i].root, m[i].options,
			shared, master, strstr(m[i].fields, "unbindable") ? " unbindable" : "", m[i].type, m[i].source, m[i].super) > 0);
	}
	qsort(text, lines, sizeof *text, by_text);
	char *all = calloc(1, 1 << 20);
	for (int i = 0; i < lines; i++)
		strcat(all, text[i]);
	return all;
}

static inline uint64_t digest(const char *path)
{
	uint64_t sum = 1469598103934665603;
	unsigned char b[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOATIME);
	must(fd >= 0);
	for (ssize_t n; (n = read(fd, b, sizeof b)) > 0;)
		for (ssize_t i = 0; i < n; i++)
			sum = (sum ^ b[i]) * 1099511628211;
	close(fd);
	return sum;
}

static inline void describe(char *to, const char *path)
{
	struct stat s;
	// The time of access of others changes when this looks at them.
	bool atime = false;
	char target[256] = "", names[1024], list[2048] = "";
	must(lstat(path, &s) == 0);
	atime = S_ISREG(s.st_mode);
	if (S_ISLNK(s.st_mode))
		must(readlink(path, target, sizeof target - 1) > 0);
	ssize_t size = llistxattr(path, names, sizeof names);
	for (char *p = names; p < names + size; p += strlen(p) + 1) {
		unsigned char value[256];
		ssize_t n = lgetxattr(path, p, value, sizeof value);
		sprintf(list + strlen(list), " %s=", p);
		for (ssize_t i = 0; i < n; i++)
			sprintf(list + strlen(list), "%02x", value[i]);
	}
	sprintf(to + strlen(to), "%s %o %d:%d dev %x links %d size %ld blocks %ld atime %ld.%ld mtime %ld.%ld %lx %s%s\n", path, s.st_mode, s.st_uid, s.st_gid,
		(unsigned)s.st_rdev, (int)s.st_nlink, S_ISDIR(s.st_mode) ? 0 : (long)s.st_size, S_ISREG(s.st_mode) ? (long)s.st_blocks : 0,
		atime ? s.st_atim.tv_sec : 0, atime ? s.st_atim.tv_nsec : 0, s.st_mtim.tv_sec, s.st_mtim.tv_nsec,
		S_ISREG(s.st_mode) ? digest(path) : 0, target, list);
}

static inline void walk(char *to, const char *path)
{
	struct dirent **names;
	describe(to, path);
	struct stat s;
	must(lstat(path, &s) == 0);
	if (!S_ISDIR(s.st_mode))
		return;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOATIME | O_CLOEXEC);
	must(dir >= 0);
	int n = scandirat(dir, ".", &names, NULL, alphasort);
	must(n >= 0);
	for (int i = 0; i < n; i++) {
		char below[600];
		snprintf(below, sizeof below, "%s/%s", path, names[i]->d_name);
		if (strcmp(names[i]->d_name, ".") && strcmp(names[i]->d_name, ".."))
			walk(to, below);
	}
	close(dir);
}

// files describes a tree of files: all that a program can see of them.
static inline char *files(const char *path)
{
	char *all = calloc(1, 4 << 20);
	walk(all, path);
	return all;
}

// same fails with the first line in which two descriptions differ.
static inline void same(const char *before, const char *now)
{
	while (*before && *now) {
		size_t a = strcspn(before, "\n"), b = strcspn(now, "\n");
		check(a == b && memcmp(before, now, a) == 0, "now %.*s, was %.*s", (int)b, now, (int)a, before);
		before += a + 1;
		now += b + 1;
	}
	check(*before == *now, "there is more, or less: %s%s", before, now);
}
