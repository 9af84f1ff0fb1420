package rtnl

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// SysctlRoot is where a thread finds the settings of the network namespace that
// it is in, whoever has mounted the proc.
const SysctlRoot = "/proc/sys/net"

// Sysctls reads all that can be read and written, in order. It runs on a thread
// that is in the namespace. There are some 600 of them, and the container stands
// still: each costs an open, a read and a close.
func Sysctls(each func(name, value string)) error {
	return sysctlsIn(SysctlRoot, make([]byte, 8192), each)
}

func sysctlsIn(dir string, buffer []byte, each func(name, value string)) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // an interface has gone meanwhile
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		if e.IsDir() {
			if err := sysctlsIn(path, buffer, each); err != nil {
				return err
			}
			continue
		}
		// root may not open for writing what is 0444 (test_perm of
		// fs/proc/proc_sysctl.c).
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		n, err := unix.Read(fd, buffer)
		unix.Close(fd)
		if err != nil {
			continue // of some, that they are not set is an error
		}
		each(strings.TrimPrefix(path, SysctlRoot+"/"), strings.TrimSuffix(string(buffer[:n]), "\n"))
	}
	return nil
}

// BadSysctl tells names and values that can't be of what Sysctls found.
func BadSysctl(name, value string) bool {
	if name == "" || len(name) > 256 || len(value) > 4096 || strings.ContainsRune(name+value, 0) {
		return true
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part == "." || part == ".." {
			return true
		}
	}
	return false
}
