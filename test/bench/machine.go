package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// machine describes in a paragraph what the figures belong to.
func (b *bench) machine() string {
	var system unix.Utsname
	_ = unix.Uname(&system)
	var info unix.Sysinfo_t
	_ = unix.Sysinfo(&info)
	const loadShift = 16 // SI_LOAD_SHIFT
	return fmt.Sprintf("%s: %s, %d cores, %.0f GiB of memory, Linux %s %s, %s; %s; load %.1f before.\n"+
		"Rounds of each: %d. Times are the median, in brackets the least and the most.\n",
		time.Now().UTC().Format(time.DateOnly), processor(), runtime.NumCPU(), float64(info.Totalram)*float64(info.Unit)/(1<<30),
		unix.ByteSliceToString(system.Release[:]), unix.ByteSliceToString(system.Machine[:]), fileSystem(b.dir), runtime.Version(),
		float64(info.Loads[0])/(1<<loadShift), b.rounds)
}

// processor is the name of the first, where the kernel tells it.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

// fileSystem is the type of the one that a directory is on.
func fileSystem(dir string) string {
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(dir))
	if err != nil || len(mounts) == 0 {
		return "unknown file system"
	}
	last := mounts[0]
	for _, m := range mounts {
		if len(filepath.Clean(m.Mountpoint)) >= len(last.Mountpoint) {
			last = m
		}
	}
	return last.FSType
}
