// A mount namespace of a process's own: file systems, binds of directories and
// files, over-mounts, options of mounts, peer groups and their slaves.
#include "target.h"
#include "mounts.h"

static void put(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	must(fd >= 0 && write(fd, path, strlen(path)) > 0 && close(fd) == 0);
}

static void target(void)
{
	home = open(".", O_RDONLY | O_DIRECTORY);
	char here[300];
	must(getcwd(here, sizeof here));
	own_mounts();
	must(mkdir("w", 0755) == 0);
	must(mount("things", "w", "tmpfs", MS_NOSUID | MS_NODEV, "size=3m,mode=750,nr_inodes=500") == 0);
	must(chdir("w") == 0);
	const char *dirs[] = {"a", "a/b", "bind", "ro", "over", "mq", "proc", "shared", "slave", "both", "peer", "never", "ram", "sys", "host", "time", "links", "all", "mine"};
	for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
		must(mkdir(dirs[i], 0755) == 0);
	put("a/b/deep");
	put("file");
	put("target");
	must(mount("a", "bind", NULL, MS_BIND, NULL) == 0);
	must(mount("a/b", "ro", NULL, MS_BIND, NULL) == 0 && mount(NULL, "ro", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOEXEC | MS_NODEV, NULL) == 0);
	must(mount("file", "target", NULL, MS_BIND, NULL) == 0);
	must(mount("first", "over", "tmpfs", 0, "size=1m") == 0);
	put("over/hidden");
	must(mkdir("over/below", 0700) == 0 && mount("under", "over/below", "ramfs", MS_NOATIME | MS_NODIRATIME, "mode=700") == 0);
	put("over/below/ram");
	must(mount("proc", "proc", "proc", MS_NOSUID, "hidepid=2") == 0);
	must(mount("mq", "mq", "mqueue", MS_STRICTATIME, NULL) == 0);
	must(mount("sysfs", "sys", "sysfs", MS_RDONLY, NULL) == 0);
	must(mount(here, "host", NULL, MS_BIND, NULL) == 0);
	must(mount("pair", "shared", "tmpfs", 0, "size=1m") == 0);
	must(mount(NULL, "shared", NULL, MS_SHARED, NULL) == 0);
	must(mount("shared", "peer", NULL, MS_BIND, NULL) == 0);
	must(mount("shared", "slave", NULL, MS_BIND, NULL) == 0 && mount(NULL, "slave", NULL, MS_SLAVE, NULL) == 0);
	must(mount("shared", "both", NULL, MS_BIND, NULL) == 0 && mount(NULL, "both", NULL, MS_SLAVE, NULL) == 0 && mount(NULL, "both", NULL, MS_SHARED, NULL) == 0);
	must(mount("never", "never", "tmpfs", 0, "size=1m") == 0 && mount(NULL, "never", NULL, MS_UNBINDABLE, NULL) == 0);
	must(mount("ro", "ram", "tmpfs", 0, "size=1m") == 0);
	put("ram/kept");
	must(mount(NULL, "ram", NULL, MS_REMOUNT | MS_RDONLY, "size=1m") == 0);
	// What is mounted spreads to where it is covered: so systemd-logind has /run/user/0.
	must(mount("all", "all", "tmpfs", 0, "size=1m") == 0 && mount(NULL, "all", NULL, MS_SHARED, NULL) == 0);
	must(mkdir("all/x", 0755) == 0 && mkdir("all/x/y", 0755) == 0);
	must(mount("all", "mine", NULL, MS_BIND, NULL) == 0 && mount(NULL, "mine", NULL, MS_SLAVE, NULL) == 0);
	must(mount("cover", "mine/x", "tmpfs", 0, "size=1m") == 0);
	must(mount("deep", "all/x/y", "tmpfs", 0, "size=1m") == 0);
	put("all/x/y/there");
	char *before = mounts_below("self", "/w"), *tree = files("a");
	ready();
	same(before, mounts_below("self", "/w"));
	same(tree, files("a"));
	check(digest("ro/deep") == digest("a/b/deep") && digest("target") == digest("file"), "a bind shows something else");
	check(open("ro/new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS, "the read-only bind can be written");
	check(open("ram/new", O_CREAT | O_WRONLY, 0600) < 0 && errno == EROFS, "the read-only tmpfs can be written");
	check(access("ram/kept", F_OK) == 0 && access("over/below/ram", F_OK) == 0 && access("over/hidden", F_OK) == 0, "files are lost");
	check(access("host/ready", F_OK) == 0, "the bind of the root file system shows something else");
	must(mkdir("shared/m", 0755) == 0 && mount("late", "shared/m", "tmpfs", 0, "size=1m") == 0);
	put("shared/m/proof");
	check(access("peer/m/proof", F_OK) == 0 && access("slave/m/proof", F_OK) == 0 && access("both/m/proof", F_OK) == 0, "what is mounted does not spread");
	must(mkdir("slave/n", 0755) == 0 && mount("late", "slave/n", "tmpfs", 0, "size=1m") == 0);
	put("slave/n/proof");
	check(access("shared/n/proof", F_OK) != 0, "a slave hands on what is mounted on it");
	// What is covered by another mount.
	check(access("mine/x/y", F_OK) != 0, "what was covered is not");
	must(umount("mine/x") == 0);
	check(access("mine/x/y/there", F_OK) == 0, "what was below a cover is lost");
	must(umount("over/below") == 0 && umount("over") == 0 && rmdir("over") == 0);
}
