package main

import (
	"bufio"
	_ "embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

//go:embed guest.sh
var guest []byte

// writeInitramfs writes a guest's whole file system, as the kernel unpacks it
// into memory: init is guest.sh, what was built lies in /work. It is not
// compressed: an emulated CPU takes longer to unpack it than QEMU to load it.
func writeInitramfs(name string, f *files, work string, arguments []string) (err error) {
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
	for _, dir := range []string{"bin", "dev", "modules", "work"} {
		a.directory(dir)
	}
	a.device("dev/console", 5, 1)
	a.file("init", 0o755, guest)
	a.file("work/arguments", 0o644, []byte(strings.Join(arguments, "\n")))
	add := map[string]string{"bin/busybox": f.busybox}
	for _, m := range f.modules {
		add["modules/"+filepath.Base(m)] = m
	}
	for to, from := range add {
		content, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		a.file(to, 0o755, content)
	}
	if err := addTree(a, "work", os.DirFS(work)); err != nil {
		return err
	}
	if err := a.close(); err != nil {
		return err
	}
	return w.Flush()
}

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
