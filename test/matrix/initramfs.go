package main

import (
	"bufio"
	_ "embed"
	"io/fs"
	"os"
	"path"
	"strings"
)

//go:embed guest.sh
var guest []byte

// writeInitramfs writes a guest's whole file system, as its kernel unpacks it
// into memory: init is guest.sh, Debian's files are in /debian, what was built,
// the tests' arguments, and what comes from another kernel, in /work. It is not
// compressed: an emulated CPU takes longer to unpack it than QEMU to load it.
func writeInitramfs(name string, from files, work string, arguments []string, travel *[]byte) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriterSize(file, 1<<20)
	a := &archive{w: w}
	for _, dir := range []string{"dev", "debian", "work"} {
		a.directory(dir)
	}
	a.device("dev/console", 5, 1)
	a.file("init", 0o755, guest)
	a.file("work/arguments", 0o644, []byte(strings.Join(arguments, "\n")))
	if travel != nil {
		a.file("work/travel", 0o644, *travel)
	}
	for to, tree := range map[string]fs.FS{"debian": from.inside(), "work": os.DirFS(work)} {
		if err := addTree(a, to, tree); err != nil {
			return err
		}
	}
	if err := a.close(); err != nil {
		return err
	}
	return w.Flush()
}

// addTree adds all that is in a tree to a directory.
func addTree(a *archive, to string, tree fs.FS) error {
	return fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
			return nil
		case d.IsDir():
			a.directory(path.Join(to, name))
			return nil
		case d.Type() == fs.ModeSymlink:
			target, err := fs.ReadLink(tree, name)
			if err == nil {
				a.link(path.Join(to, name), target)
			}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		a.file(path.Join(to, name), info.Mode(), content)
		return nil
	})
}
