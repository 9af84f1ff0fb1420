package need

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"lxc-checkpoint/internal/ia32"
)

const install = "test/install-needs.sh installs it"

// Programs, from Debian's packages.
var (
	CC          = Program("gcc")
	GDB         = Program("gdb")
	Zstd        = Program("zstd")
	Debootstrap = Program("debootstrap")
	Protoc      = Program("protoc")
	CPIO        = Program("cpio")
	QEMU        = Program("qemu-system-x86_64")
)

// Program is a need for an executable file in PATH.
func Program(name string) *Need {
	return once(name, install, func() error {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("there is no program %s in PATH", name)
		}
		return nil
	})
}

// File is a need for a file of a package.
func File(path, remedy string) *Need {
	return once(path, remedy, func() error {
		_, err := os.Stat(path)
		return err
	})
}

// Root is the need to be root with all the capabilities that a checkpoint
// takes: namespaces can be made.
var Root = once("root", "run it with sudo, on a host or in a virtual machine", func() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("the user id is %d", os.Geteuid())
	}
	return nil
})

// LibC is the need for a C library to link test programs with statically.
var LibC = once("a static C library", install, func() error {
	if err := CC.Missing(); err != nil {
		return err
	}
	out, err := exec.Command("gcc", "-print-file-name=libc.a").Output()
	if err != nil {
		return err
	}
	if !filepath.IsAbs(strings.TrimSpace(string(out))) {
		return errors.New("gcc finds no libc.a")
	}
	return nil
})

// Narrow is the need for a kernel that runs 32-bit programs.
var Narrow = once("32-bit programs", "boot with ia32_emulation=on", ia32.Usable)

// NarrowLibC is the need for a C library to link 32-bit test programs with.
var NarrowLibC = once("a static 32-bit C library", install, func() error {
	out, err := exec.Command("gcc", "-m32", "-print-file-name=libc.a").Output()
	if err != nil {
		return err
	}
	if !filepath.IsAbs(strings.TrimSpace(string(out))) {
		return errors.New("gcc finds no 32-bit libc.a (gcc-12-multilib, or that of another gcc)")
	}
	return nil
})

// LXC is the need for LXC's own commands and its busybox template.
var LXC = once("LXC", install, func() error {
	for _, name := range []string{"lxc-create", "lxc-start", "lxc-stop", "lxc-info", "busybox"} {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("there is no program %s in PATH", name)
		}
	}
	return nil
})

// Postgres is the need for PostgreSQL's server and pgbench.
var Postgres = once("PostgreSQL", install, func() error {
	if PostgresBinaries() == "" {
		return errors.New("there is no /usr/lib/postgresql/*/bin/postgres")
	}
	return nil
})

// PostgresBinaries is where Debian keeps PostgreSQL's programs; "" if there are
// none.
func PostgresBinaries() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if len(found) == 0 {
		return ""
	}
	return filepath.Dir(found[len(found)-1])
}

// BTF is the need for the kernel's own type information.
var BTF = once("BTF", "boot a kernel that has CONFIG_DEBUG_INFO_BTF", func() error {
	_, err := os.Stat("/sys/kernel/btf/vmlinux")
	return err
})

// Filesystem is a need for a kind of file system that the kernel has.
func Filesystem(kind string) *Need {
	return once("the file system "+kind, "boot a kernel that has it, or load its module", func() error {
		text, err := os.ReadFile("/proc/filesystems")
		if err == nil && !strings.Contains(string(text)+"\n", "\t"+kind+"\n") {
			err = errors.New("/proc/filesystems does not name it")
		}
		return err
	})
}
