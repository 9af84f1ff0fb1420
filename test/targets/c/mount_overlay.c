// An overlay that a program has mounted, with names of directories that count from
// where it was: its files, open, mapped, removed, changed through it, and the
// working directory in it.
#include "target.h"
#include "mounts.h"

static void target(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mkdir("layers", 0700) == 0 && mount("none", "layers", "tmpfs", 0, NULL) == 0);
	must(mkdir("layers/lower", 0700) == 0 && mkdir("layers/upper", 0700) == 0 && mkdir("layers/work", 0700) == 0 && mkdir("layers/merged", 0700) == 0);
	int fd = open("layers/lower/old", O_CREAT | O_RDWR, 0600), status, told[2], wait[2];
	must(fd >= 0 && write(fd, "lower", 5) == 5 && close(fd) == 0 && mkdir("layers/lower/dir", 0700) == 0);
	pid_t mounter = fork();
	if (mounter == 0)
		_exit(chdir("layers") || mount("overlay", "merged", "overlay", 0, "lowerdir=lower,upperdir=upper,workdir=work") ? errno : 0);
	must(mounter > 0 && waitpid(mounter, &status, 0) == mounter);
	if (status)
		skip("overlays can't be mounted here: %s", strerror(WEXITSTATUS(status)));
	must(pipe(told) == 0 && pipe(wait) == 0);
	pid_t inside = fork();
	if (inside == 0) {
		char b;
		struct stat is, in;
		if (chdir("layers/merged/dir") || write(told[1], "x", 1) != 1 || close(wait[1]) || read(wait[0], &b, 1) != 1 || b != 'y')
			_exit(errno);
		if (stat(".", &is) || stat("../../merged/dir", &in) || is.st_dev != in.st_dev || is.st_ino != in.st_ino)
			_exit(200);
		_exit(close(open("here", O_CREAT | O_WRONLY, 0600)) ? errno : 0);
	}
	char b[8] = "";
	must(inside > 0 && read(told[0], b, 1) == 1);
	int old = open("layers/merged/old", O_RDONLY), new = open("layers/merged/new", O_CREAT | O_RDWR, 0600), gone = open("layers/merged/dir/gone", O_CREAT | O_RDWR, 0600);
	must(old >= 0 && new >= 0 && write(new, "upper", 5) == 5 && gone >= 0 && write(gone, "gone!", 5) == 5 && unlink("layers/merged/dir/gone") == 0);
	char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, new, 0);
	char *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, old, 0);
	must(map != MAP_FAILED && code != MAP_FAILED);
	char *before = mounts_below("self", "/merged");
	ready();
	same(before, mounts_below("self", "/merged"));
	check(pread(old, b, 8, 0) == 5 && !memcmp(b, "lower", 5) && !memcmp(code, "lower", 5), "the file below is %s", b);
	check(pread(gone, b, 8, 0) == 5 && !memcmp(b, "gone!", 5), "the removed file is %s", b);
	map[0] = 'U';
	must(msync(map, 4096, MS_SYNC) == 0 && pwrite(new, "!", 1, 5) == 1);
	must(write(wait[1], "y", 1) == 1 && waitpid(inside, &status, 0) == inside);
	check(status == 0, "who is in the overlay ended with %x", status);
	check(access("layers/upper/dir/here", F_OK) == 0, "what is made in the overlay is not in its upper directory");
	fd = open("layers/upper/new", O_RDONLY);
	check(fd >= 0 && read(fd, b, 8) == 6 && !memcmp(b, "Upper!", 6), "in the upper directory is %s", b);
	check(access("layers/lower/dir/here", F_OK) < 0, "the lower directory was written");
}
