package harness

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/need"
)

// DebianPackages are those that a container of tests has beside Debian's smallest
// system: systemd, which not every test starts, and redis.
const DebianPackages = "redis-server,python3,systemd,systemd-sysv,dbus,iproute2,procps,cron"

// DebianServers are those that it has besides where it serves people.
const DebianServers = ",libpam-systemd,openssh-server,openssh-client,nginx-light,postgresql,tmux,vim-tiny,openrc,busybox-static"

// DebianDaemons are Docker, and daemons that do what others don't.
const DebianDaemons = ",docker.io,iptables,busybox-static,avahi-daemon,supervisor,nscd,mariadb-server"

// DebianRootfs returns the directory of a Debian root file system with some
// packages, which nobody may change. It is made once and kept in the user's cache.
func DebianRootfs(t *testing.T, packages string) string {
	t.Helper()
	need.Check(t, need.Root, need.Debootstrap, need.Program("apt-get"))
	dir, err := debianCached(packages)
	if err == nil {
		return dir
	}
	// The network or the mirror is missing, not the product.
	err = fmt.Errorf("needs a Debian root file system: %w", err)
	if need.InCI() {
		t.Fatalf("%v (in CI nothing may be missing)", err)
	}
	t.Skip(err)
	return ""
}

func debianCached(packages string) (string, error) {
	release, err := debianRelease()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("debian-%s-%s-%x", release, runtime.GOARCH, sha256.Sum256([]byte(packages)))[:48]
	return cached(name, func(dir string) error { return debootstrap(release, dir, packages) })
}

// cached returns a directory of the user's cache, which is filled if it is not
// there yet.
func cached(name string, fill func(dir string) error) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	cache = filepath.Join(cache, "lxc-checkpoint-test")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	dir := filepath.Join(cache, name)
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	unfinished := dir + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	if err := fill(unfinished); err != nil {
		return "", err
	}
	return dir, os.Rename(unfinished, dir)
}

// debianRelease is the code name of this machine's Debian.
func debianRelease() (string, error) {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`), nil
		}
	}
	return "", fmt.Errorf("/etc/os-release names no release of Debian")
}

// debianMirror is where apt has Debian's own packages of the release from.
func debianMirror(release string) (string, error) {
	const format = "$(COMPONENT)|$(ORIGIN)|$(CODENAME)|$(RELEASE)|$(REPO_URI)"
	// Before the first apt-get update, apt knows no more than its configuration.
	for _, source := range []string{"--release-info", "--no-release-info"} {
		out, err := exec.Command("apt-get", "indextargets", source, "--format", format, "Created-By: Packages").Output()
		if err != nil {
			return "", fmt.Errorf("apt-get indextargets: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimSpace(line), "|")
			if len(f) != 5 || f[0] != "main" {
				continue
			}
			fetched, configured := f[1] == "Debian" && f[2] == release, f[1] == "$(ORIGIN)" && f[3] == release
			if fetched || configured {
				return f[4], nil
			}
		}
	}
	return "", fmt.Errorf("apt is not configured for Debian's %s", release)
}

// debootstrap fills a directory with a root file system.
func debootstrap(release, dir, packages string) error {
	mirror, err := debianMirror(release)
	if err != nil {
		return err
	}
	if err := apart(nil, "debootstrap", "--variant=minbase", "--include="+packages, release, dir, mirror); err != nil {
		return err
	}
	for _, needless := range []string{"var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"} {
		if err := os.RemoveAll(filepath.Join(dir, needless)); err != nil {
			return err
		}
	}
	return nil
}

// apart runs a command in namespaces of its own: when its time is over, or when
// the test is killed, all that it has started is killed and unmounted.
func apart(environment []string, name string, args ...string) error {
	const most = 6 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), Patience(most))
	defer cancel()
	c := exec.CommandContext(ctx, name, args...)
	c.Env = append(os.Environ(), environment...)
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:   unix.CLONE_NEWPID,
		Unshareflags: unix.CLONE_NEWNS, // its mounts are seen by nobody else
		Pdeathsig:    unix.SIGKILL,
	}
	runtime.LockOSThread() // the signal comes when this thread ends
	defer runtime.UnlockOSThread()
	out, err := c.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("it was not finished after %v", Patience(most))
	}
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("%s: %w; it said last: %s", name, err, lines[len(lines)-1])
	}
	return nil
}
