package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"lxc-checkpoint/cmd/lxc-statefile/elfcore"
	"lxc-checkpoint/image/reader"
)

func workers() int { return runtime.NumCPU() }

// core makes a core file. It appears under its name only when it is complete.
func core(ctx context.Context, img *reader.Reader, pid uint32, o *options) error {
	name := o.output
	if name == "" {
		name = fmt.Sprintf("core.%d", pid)
	}
	s, err := img.Skeleton()
	if err != nil {
		return err
	}
	root := o.root
	if root == "" {
		root = rootOf(s.Container.Rootfs)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*") // mode 0600
	if err != nil {
		return &outputError{fmt.Errorf("%s cannot be made: %w", name, plain(err))}
	}
	defer os.Remove(f.Name()) // nothing, after the rename
	defer f.Close()
	missing := func(path, why string) {
		fmt.Fprintf(os.Stderr, "lxc-statefile: note: %s below %s: %s; pages of it that process %d had not changed are left out\n", path, root, why, pid)
	}
	if err := elfcore.Write(ctx, img, pid, f, elfcore.Options{Root: root, Missing: missing}); err != nil {
		var p *os.PathError
		if errors.As(err, &p) && p.Path == f.Name() {
			return &outputError{fmt.Errorf("%s: %w", name, p.Err)}
		}
		return err
	}
	if err := f.Close(); err != nil {
		return &outputError{fmt.Errorf("%s: %w", name, plain(err))}
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return &outputError{fmt.Errorf("%s cannot be made: %w", name, plain(err))}
	}
	return nil
}

// plain takes off an error the name of our temporary file.
func plain(err error) error {
	var path *os.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}

// rootOf is where the container's files are on this host, if they are: the
// directory of lxc.rootfs.path, else /.
func rootOf(rootfs string) string {
	dir := strings.TrimPrefix(rootfs, "dir:")
	if st, err := os.Stat(dir); strings.HasPrefix(dir, "/") && err == nil && st.IsDir() {
		return dir
	}
	return "/"
}
