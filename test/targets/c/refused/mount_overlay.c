// refused: mount .*/merged: overlay: it was mounted inside the container, and this version can't mount a file system of this type again; unmount it
#include "../target.h"
#include "../mounts.h"

static void target(void)
{
	char here[500], options[2000], merged[600];
	must(getcwd(here, sizeof here));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mkdir("layers", 0700) == 0 && mount("none", "layers", "tmpfs", 0, NULL) == 0);
	must(mkdir("layers/lower", 0700) == 0 && mkdir("layers/upper", 0700) == 0 && mkdir("layers/work", 0700) == 0 && mkdir("merged", 0700) == 0);
	snprintf(options, sizeof options, "lowerdir=%s/layers/lower,upperdir=%s/layers/upper,workdir=%s/layers/work", here, here, here);
	snprintf(merged, sizeof merged, "%s/merged", here);
	if (mount("overlay", merged, "overlay", 0, options))
		skip("overlays can't be mounted here: %s", strerror(errno));
	ready();
	must(close(open("merged/file", O_CREAT | O_WRONLY, 0600)) == 0);
	check(access("layers/upper/file", F_OK) == 0, "the overlay is gone");
}
