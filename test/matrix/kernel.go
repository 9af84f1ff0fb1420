package main

import (
	"fmt"
	"slices"
	"strings"

	"lxc-checkpoint/internal/need"
)

// kernel is one that can be booted.
type kernel struct {
	name string
	arch *arch
	meta string // Debian's package that depends on the newest of its kind
}

// arch is a CPU as the tools name it.
type arch struct {
	name    string // Go's and Debian's
	cc      string
	qemu    string
	machine []string // QEMU's options for it
	// "multi": each CPU of the guest is a thread of QEMU; "single": they take turns.
	// On amd64 they must: each checkpoint has the kernel patch a tracepoint that is
	// passed all the time, and QEMU 7.2 has another CPU execute what is not there any
	// more ("Oops: int3" in hrtimer_try_to_cancel, Linux 6.12). It is no slower.
	threads string
	append  string // what the kernel is told
	// The machine has another serial line, by which files come out of a guest.
	secondSerial bool
}

var (
	// What is quick on a real CPU and slow on this one: page tables of five levels,
	// memory that is cleared and copied by one instruction (QEMU goes byte by
	// byte; 112 is REP_GOOD), and the guards against flaws of real CPUs. Without
	// them it takes a fifth less time. The time comes from the HPET: where the host
	// is busy the kernel measures the TSC wrongly, and its clock runs eight times
	// too fast (Linux 6.12). That the TSC is not to be trusted it is told at once,
	// before it has to change its own code for that.
	amd64 = &arch{"amd64", "x86_64-linux-gnu-gcc", "qemu-system-x86_64", []string{"-cpu", "max,la57=off,erms=off,fsrm=off"}, "single",
		"console=ttyS0 clearcpuid=112 clocksource=hpet tsc=unstable mitigations=off", true}
	// The kernel signs every return address: by the book that takes QEMU most
	// of the time, by a method of its own little.
	arm64 = &arch{"arm64", "aarch64-linux-gnu-gcc", "qemu-system-aarch64", []string{"-M", "virt", "-cpu", "max,pauth-impdef=on"}, "multi",
		"console=ttyAMA0 mitigations=off", false}
)

var kernels = []*kernel{
	{"6.1", amd64, "linux-image-cloud-amd64"},
	{"6.12", amd64, "linux-image-6.12-cloud-amd64"},
	{"arm64-6.1", arm64, "linux-image-cloud-arm64"},
	{"arm64-6.12", arm64, "linux-image-6.12-cloud-arm64"},
}

// choose returns the kernels with these names, all if there are none.
func choose(wanted []string) ([]*kernel, error) {
	if len(wanted) == 0 {
		return kernels, nil
	}
	var chosen []*kernel
	for _, name := range wanted {
		i := slices.IndexFunc(kernels, func(k *kernel) bool { return k.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no kernel %q; there are %s", name, names())
		}
		chosen = append(chosen, kernels[i])
	}
	return chosen, nil
}

func names() string {
	var all []string
	for _, k := range kernels {
		all = append(all, k.name)
	}
	return strings.Join(all, ", ")
}

// missing returns what this machine lacks to boot it, nil if that is nothing.
func (k *kernel) missing() error {
	for _, program := range []string{"apt-get", "dpkg-deb", "xz", k.arch.cc, k.arch.qemu} {
		if err := need.Program(program).Missing(); err != nil {
			return err
		}
	}
	return nil
}
