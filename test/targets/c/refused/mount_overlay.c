// refused: mount .*/merged: overlay: the directories that it is made of \(.*/layers/upper, .*/layers/lower, .*/layers/work\) are not found in the container, or have changed under it; unmount it, or mount it again with their whole paths
#include "../target.h"
#include "../mounts.h"

// An overlay whose lower directory is another one by now.
static void target(void)
{
	char here[500], options[2000], merged[600];
	must(getcwd(here, sizeof here));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mkdir("layers", 0700) == 0 && mount("none", "layers", "tmpfs", 0, NULL) == 0);
	must(mkdir("layers/lower", 0700) == 0 && mkdir("layers/upper", 0700) == 0 && mkdir("layers/work", 0700) == 0 && mkdir("merged", 0700) == 0);
	must(mkdir("layers/lower/dir", 0700) == 0);
	snprintf(options, sizeof options, "lowerdir=%s/layers/lower,upperdir=%s/layers/upper,workdir=%s/layers/work", here, here, here);
	snprintf(merged, sizeof merged, "%s/merged", here);
	if (mount("overlay", merged, "overlay", 0, options))
		skip("overlays can't be mounted here: %s", strerror(errno));
	must(rename("layers/lower", "layers/moved") == 0 && mkdir("layers/lower", 0700) == 0 && mkdir("layers/lower/other", 0700) == 0);
	ready();
	must(close(open("merged/file", O_CREAT | O_WRONLY, 0600)) == 0);
	check(access("layers/upper/file", F_OK) == 0, "the overlay is gone");
}
