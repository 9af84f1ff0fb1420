package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// files are those of a kernel and its small world, in the cache.
type files struct {
	image   string // of the kernel
	busybox string // a static one
	modules []string
}

// Debian's kernels have these as modules, which our commands need and which
// udev or modprobe would load.
var modules = []string{"unix_diag"}

// fetch returns a kernel's files: from the cache (below the user's cache
// directory; remove it to have newer kernels), or from Debian's packages.
func (k *kernel) fetch(ctx context.Context) (*files, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("there is no directory for downloads: %w", err)
	}
	cache = filepath.Join(cache, "lxc-checkpoint-matrix")
	dir := filepath.Join(cache, k.name)
	f := &files{image: filepath.Join(dir, "vmlinuz"), busybox: filepath.Join(dir, "busybox")}
	for _, name := range modules {
		f.modules = append(f.modules, filepath.Join(dir, name+".ko"))
	}
	if _, err := os.Stat(dir); err == nil {
		return f, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	// Beside its place first: what is in the cache is whole.
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	if err := k.download(ctx, work); err != nil {
		return nil, err
	}
	if err := os.Mkdir(filepath.Join(work, "done"), 0o755); err != nil {
		return nil, err
	}
	if err := collect(ctx, filepath.Join(work, "root"), filepath.Join(work, "done")); err != nil {
		return nil, err
	}
	return f, os.Rename(filepath.Join(work, "done"), dir)
}

// download unpacks the kernel's package and that of a static busybox into the
// directory "root". It uses a list of packages of its own, so that the host's
// apt neither needs nor learns of another architecture.
func (k *kernel) download(ctx context.Context, work string) error {
	lists, packages := filepath.Join(work, "lists"), filepath.Join(work, "packages")
	for _, dir := range []string{filepath.Join(lists, "partial"), packages} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	apt := func(program string, args ...string) (string, error) {
		options := []string{
			"-qq",
			"-o", "APT::Architecture=" + k.arch.name,
			"-o", "APT::Architectures=" + k.arch.name,
			"-o", "APT::Sandbox::User=root",
			"-o", "Dir::State::Lists=" + lists,
			"-o", "Dir::Cache=" + filepath.Join(work, "cache"),
			"-o", "Acquire::Languages=none",
			"-o", "Acquire::Retries=3",
		}
		c := exec.CommandContext(ctx, program, append(options, args...)...)
		c.Dir = packages
		return output(c)
	}
	if _, err := apt("apt-get", "update"); err != nil {
		return err
	}
	depends, err := apt("apt-cache", "depends", k.meta)
	if err != nil {
		return err
	}
	_, image, ok := strings.Cut(depends, "Depends: ")
	if !ok {
		return fmt.Errorf("package %s depends on no kernel: %q", k.meta, depends)
	}
	if _, err := apt("apt-get", "download", strings.Fields(image)[0], "busybox-static"); err != nil {
		return err
	}
	debs, _ := filepath.Glob(filepath.Join(packages, "*.deb"))
	for _, deb := range debs {
		if err := run(exec.CommandContext(ctx, "dpkg-deb", "-x", deb, filepath.Join(work, "root"))); err != nil {
			return err
		}
	}
	return nil
}

// collect moves what is needed from unpacked packages into a directory.
func collect(ctx context.Context, root, to string) error {
	wanted := map[string]string{"vmlinuz": "boot/vmlinuz-*", "busybox": "bin/busybox"}
	for _, name := range modules {
		wanted[name+".ko"] = "lib/modules/*/kernel/*/*/" + name + ".ko*"
	}
	for name, pattern := range wanted {
		found, _ := filepath.Glob(filepath.Join(root, pattern))
		if len(found) != 1 {
			return fmt.Errorf("Debian's packages have %d files %s instead of one", len(found), pattern)
		}
		path := found[0]
		if unpacked, ok := strings.CutSuffix(path, ".xz"); ok {
			if err := run(exec.CommandContext(ctx, "xz", "-d", path)); err != nil {
				return err
			}
			path = unpacked
		}
		if err := os.Rename(path, filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}
