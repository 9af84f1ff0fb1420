package container

import (
	"context"
	"errors"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// NetworkHook has lxc-restart be a hook of LXC's, which containers keep that it has
// brought back: it mounts nothing.
const NetworkHook = "--as-network-hook"

// configuredMounts asks LXC's monitor for what ConfiguredMounts holds.
func (c *Container) configuredMounts(ctx context.Context) []string {
	if c.Rootfs == "" {
		return nil // it has what is mounted on the host
	}
	for _, hook := range []string{"pre-mount", "mount", "autodev", "start-host", "start"} {
		text, ok := c.configItem(ctx, "lxc.hook."+hook)
		if !ok {
			return nil
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasSuffix(line, " "+NetworkHook) {
				return nil // it may mount anything
			}
		}
	}
	entries, ok := c.configItem(ctx, "lxc.mount.entry")
	if !ok {
		return nil
	}
	fstab, ok := c.configItem(ctx, "lxc.mount.fstab")
	if !ok {
		return nil
	}
	if fstab != "" {
		text, err := os.ReadFile(fstab)
		if err != nil {
			return nil
		}
		entries += "\n" + string(text)
	}
	// Where LXC mounts the root file system while it prepares it: a target may
	// be given below that.
	roots := []string{c.Rootfs}
	if _, dir, found := strings.Cut(c.Rootfs, ":"); found {
		roots = append(roots, dir)
	}
	if mount, ok := c.configItem(ctx, "lxc.rootfs.mount"); ok {
		roots = append(roots, mount)
	}
	targets := mountTargets(entries, roots)
	if c.CloneFlags&unix.CLONE_NEWUSER != 0 {
		targets = append(targets, boundDevices...)
	}
	return targets
}

// boundDevices are what LXC binds of the host in a container with a user namespace
// (lxc.idmap), where nobody may make devices: lxc_devices in src/lxc/conf.c of LXC
// 5.0. In others it makes nodes of them.
var boundDevices = []string{"/dev/full", "/dev/null", "/dev/random", "/dev/tty", "/dev/urandom", "/dev/zero"}

// configItem asks LXC's monitor for an item of the container's config. One that
// is not set, or that it does not know, is answered by -1, which is EPERM
// (lxc_cmd_get_config_item_callback, src/lxc/commands.c of LXC 5.0).
func (c *Container) configItem(ctx context.Context, name string) (string, bool) {
	item, err := command(ctx, c.Name, c.LXCPath, cmdGetConfigItem, 0, name+"\x00")
	if errors.Is(err, unix.EPERM) {
		return "", true
	}
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(item.word()), true
}

// unescape reads a field of fstab(5).
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

// mountTargets takes the second field of fstab(5) lines: relative to the
// container's root, or below one of roots.
func mountTargets(fstab string, roots []string) []string {
	targets := []string{}
	for line := range strings.Lines(fstab) {
		f := strings.Fields(line)
		if len(f) < 2 || strings.HasPrefix(f[0], "#") {
			continue
		}
		target := unescape.Replace(f[1])
		for _, root := range roots {
			if root == "" || root == "/" {
				continue
			}
			if rest, ok := strings.CutPrefix(target, strings.TrimSuffix(root, "/")+"/"); ok {
				target = rest
				break
			}
		}
		targets = append(targets, path.Clean("/"+target))
	}
	return targets
}
