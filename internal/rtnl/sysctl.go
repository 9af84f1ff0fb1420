package rtnl

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// SysctlRoot is where a thread finds the settings of the network namespace that
// it is in, whoever has mounted the proc.
const SysctlRoot = "/proc/sys/net"

// Sysctls reads all that can be read and written, in order. It runs on a thread
// that is in the namespace.
func Sysctls(each func(name, value string)) error {
	return filepath.WalkDir(SysctlRoot, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an interface has gone meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Mode().Perm()&0o600 != 0o600 {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil // of some, that they are not set is an error
		}
		each(strings.TrimPrefix(path, SysctlRoot+"/"), strings.TrimSuffix(string(b), "\n"))
		return nil
	})
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
