package world

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"lxc-checkpoint/test/harness"
)

// programs are what scripts can call, besides busybox.
var programs = []string{
	"sh", "ip", "bridge", "tc", "nft", "iptables-nft", "ip6tables-nft", "iptables-nft-save", "ip6tables-nft-save",
	"iptables-legacy", "ip6tables-legacy", "iptables-legacy-save", "ip6tables-legacy-save", "ipset", "conntrack",
	"mount", "umount", "findmnt", "pivot_root", "chroot", "unshare", "nsenter", "setsid", "sysctl",
	"ipcmk", "ipcs", "ipcrm", "chattr", "lsattr", "setfattr", "getfattr", "setfacl", "getfacl",
	"find", "sort", "sed", "grep", "cat", "stat", "sha256sum", "touch", "mkfifo", "mknod", "mkdir", "rmdir", "rm",
	"ln", "cp", "mv", "dd", "truncate", "chown", "chmod", "sleep", "seq", "busybox", "env", "test", "fallocate",
	"xargs", "hostname", "ls", "readlink", "head",
}

// base is the root file system that those of all containers are copies of.
var base string

var baseOnce = sync.OnceValue(func() error {
	var err error
	if base, err = os.MkdirTemp("/var/tmp", "lxc-checkpoint-world-"); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "dev", "etc", "home", "mnt", "proc", "run", "sys", "tmp", "var/tmp", "old"} {
		if err := os.MkdirAll(filepath.Join(base, dir), 0o755); err != nil {
			return err
		}
	}
	for _, program := range programs {
		path, err := exec.LookPath(program)
		if err != nil {
			return err
		}
		if err := take(path, filepath.Join("/bin", program)); err != nil {
			return err
		}
	}
	plugins, _ := filepath.Glob("/usr/lib/*/xtables/*.so") // iptables loads them
	for _, path := range plugins {
		if err := take(path, path); err != nil {
			return err
		}
	}
	for _, file := range []string{"protocols", "services", "iproute2"} {
		_ = exec.Command("cp", "-r", filepath.Join("/etc", file), filepath.Join(base, "etc", file)).Run()
	}
	const init = "#!/bin/sh\nexec </dev/null >/dev/null 2>&1\nwhile :; do sleep 86400 & wait; done\n"
	return os.WriteFile(filepath.Join(base, "bin/init"), []byte(init), 0o755)
})

var library = regexp.MustCompile(`(?m)(/\S+) \(0x`)

// take copies a file of the host, with the libraries that it needs, to a path in
// the base.
func take(from, to string) error {
	file, err := filepath.EvalSymlinks(from)
	if err != nil {
		return err
	}
	if err := copyFile(file, filepath.Join(base, to)); err != nil {
		return err
	}
	out, _ := exec.Command("ldd", file).Output() // which fails for what needs none
	for _, m := range library.FindAllStringSubmatch(string(out), -1) {
		if err := copyFile(m[1], filepath.Join(base, m[1])); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(from, to string) error {
	if _, err := os.Stat(to); err == nil {
		return nil
	}
	bytes, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, bytes, 0o755)
}

// newRoot makes a root file system: links to the files of the base, which nobody
// changes.
func newRoot(t *testing.T, dir string) {
	t.Helper()
	if err := baseOnce(); err != nil {
		t.Fatal(err)
	}
	harness.Must(t, "cp", "-al", base, dir)
}

// output runs a command and joins what it writes.
func output(c *exec.Cmd, stdin string) (string, error) {
	c.Stdin = strings.NewReader(stdin)
	out, err := c.CombinedOutput()
	return string(out), err
}
