// refused: mount .*/layers/merged: overlay: it has the option index, with which the kernel mounts nothing over a copy of the tmpfs that its upper directory is in; mount it with index=off,nfs_export=off
#include "../target.h"
#include <sys/mount.h>

static void target(void)
{
	char here[500], options[2000];
	must(getcwd(here, sizeof here));
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	must(mkdir("layers", 0700) == 0 && mount("none", "layers", "tmpfs", 0, NULL) == 0);
	must(mkdir("layers/lower", 0700) == 0 && mkdir("layers/upper", 0700) == 0 && mkdir("layers/work", 0700) == 0 && mkdir("layers/merged", 0700) == 0);
	snprintf(options, sizeof options, "index=on,lowerdir=%s/layers/lower,upperdir=%s/layers/upper,workdir=%s/layers/work", here, here, here);
	if (mount("overlay", "layers/merged", "overlay", 0, options))
		skip("overlays can't be mounted here: %s", strerror(errno));
	ready();
	must(close(open("layers/merged/file", O_CREAT | O_WRONLY, 0600)) == 0);
	check(access("layers/upper/file", F_OK) == 0, "the overlay is gone");
}
