package restorer

import (
	"errors"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// followed is a name with the symbolic links on its way followed, across mounts,
// as far as its files can be looked for: /var/run of Debian leads into a tmpfs
// that the statefile has. A UNIX socket's path is such a name, as its program had
// put it; those of other files come from the kernel, and have none.
func (l *looker) followed(namespace uint32, name string) (string, error) {
	const mostLinks = 40 // MAXSYMLINKS, include/linux/namei.h
	at, rest := "/", strings.Split(name, "/")
	for links := 0; len(rest) > 0; {
		next := path.Join(at, rest[0])
		rest = rest[1:]
		target, err := l.link(namespace, next)
		switch {
		case err != nil:
			return "", err
		case target == "":
			at = next
			continue
		}
		if links++; links > mostLinks {
			return "", unix.ELOOP
		}
		if path.IsAbs(target) {
			at = "/"
		}
		rest = append(strings.Split(target, "/"), rest...)
	}
	return at, nil
}

// link is where a symbolic link leads to; empty if it is none, is not there, or is
// not to be looked for.
func (l *looker) link(namespace uint32, name string) (string, error) {
	at, ok := l.find(namespace, name)
	if !ok || at.path == "/" {
		return "", nil
	}
	finder, err := l.finder(at.dir)
	if err != nil {
		return "", err
	}
	target, err := finder.Link(at.path)
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENOTDIR) {
		return "", nil // who looks for the file says that it is not there
	}
	return target, err
}
