package procfs

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOwn parses our own files, as this kernel writes them.
func TestOwn(t *testing.T) {
	pid := os.Getpid()
	stat, err := ReadStat(pid)
	if err != nil || stat.PID != pid || stat.Parent != os.Getppid() || stat.State == 0 {
		t.Errorf("stat: %+v, %v", stat, err)
	}
	status, err := ReadStatus(pid)
	if err != nil || status.Tgid != pid || status.UIDs[1] != uint32(os.Geteuid()) || !slices.Contains(status.NSpid, pid) || status.Threads == 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
	maps, err := ReadMaps(pid)
	if err != nil || !slices.ContainsFunc(maps, func(v VMA) bool { return v.Path == "[stack]" }) {
		t.Errorf("maps: %d, %v", len(maps), err)
	}
	areas, err := ReadSmaps(pid)
	if err != nil || len(areas) < 5 || areas[0].KernelPageSize == 0 || !areas[0].Has("rd") {
		t.Errorf("smaps: %+v, %v", areas, err)
	}
	limits, err := ReadLimits(pid)
	if err != nil || len(limits) != 16 {
		t.Errorf("limits: %+v, %v", limits, err)
	}
	if m, err := ReadMemoryStat(pid); err != nil || m.StartStack == 0 || m.EndCode <= m.StartCode {
		t.Errorf("memory: %+v, %v", m, err)
	}
	if mounts, err := ReadMounts(pid); err != nil || len(mounts) == 0 {
		t.Errorf("mounts: %d, %v", len(mounts), err)
	}
	if paths, err := ReadCgroupPaths(pid); err != nil || len(paths) == 0 {
		t.Errorf("cgroups: %v, %v", paths, err)
	}
	fd, err := unix.Eventfd(7, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	info, err := ReadFDInfo(pid, fd)
	if err != nil || info.Flags&unix.O_CLOEXEC == 0 {
		t.Errorf("fdinfo: %+v, %v", info, err)
	}
	if count, ok := info.Get("eventfd-count"); !ok || count != "7" {
		t.Errorf("eventfd-count is %q", count)
	}
}

func TestParseTaskStat(t *testing.T) {
	const tail = " 1 5 4 34816 5 4194560 1 2 3 4 5 6 7 8 20 -3 1 0 4711 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 256"
	s, err := ParseTaskStat("12 (a) b (c)) T" + tail)
	want := TaskStat{PID: 12, Comm: "a) b (c)", State: 'T', Parent: 1, Group: 5, Session: 4, Terminal: 34816, Tpgid: 5,
		Flags: 4194560, Nice: -3, StartTime: 4711, CPU: 1, ExitSignal: 17, ExitCode: 256}
	if err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	for _, bad := range []string{"", "12", "12 (x)", "x (y) R" + tail, "12 (y) R 1 2 3", "12 (y) RR" + tail, "12 (y) R" + strings.Replace(tail, "34816", "x", 1)} {
		if s, err := ParseTaskStat(bad); err == nil {
			t.Errorf("%q gives %+v", bad, s)
		}
	}
}

func TestParseTaskStatus(t *testing.T) {
	s, err := ParseTaskStatus("Name:\tsh\nUmask:\t0027\nTgid:\t9\nTracerPid:\t3\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t10 20 \n" +
		"NStgid:\t9\t2\nNSpid:\t9\t2\nNSpgid:\t8\t1\nNSsid:\t8\t0\nThreads:\t3\nSigIgn:\t0000000000001000\nSigCgt:\t8000000000000001\n" +
		"CapBnd:\t000001ffffffffff\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\nVmLck:\t       8 kB\nTHP_enabled:\t0\nx86_Thread_features:\tshstk wrss\nUnknown:\tx\n")
	if err != nil || s.Name != "sh" || s.Umask != 0o27 || s.TracerPid != 3 || s.UIDs != [4]uint32{1, 2, 3, 4} || s.GIDs != [4]uint32{5, 6, 7, 8} ||
		!slices.Equal(s.Groups, []uint32{10, 20}) || !slices.Equal(s.NSpid, []int{9, 2}) || !slices.Equal(s.NSsid, []int{8, 0}) || s.Threads != 3 ||
		s.SigIgn != 1<<12 || s.SigCgt != 1<<63|1 || s.CapBnd != 1<<41-1 || !s.NoNewPrivs || s.Seccomp != 2 || s.SeccompFilters != 3 || s.Locked != 8192 || !s.THPDisabled || !s.ShadowStack {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err := ParseTaskStatus("Tgid:\t9\n"); err != nil || s.SeccompFilters != -1 {
		t.Errorf("of an old kernel: %+v, %v", s, err)
	}
	for _, bad := range []string{"", "Name:\tx\n", "Tgid:\tx\n", "Tgid:\t9\nUid:\t1\t2\n", "Tgid:\t9\nSigIgn:\tzz\n", "Tgid:\t9\nNSpid:\t9\tx\n"} {
		if s, err := ParseTaskStatus(bad); err == nil {
			t.Errorf("%q gives %+v", bad, s)
		}
	}
}

func TestParseMemInfo(t *testing.T) {
	const text = "MemTotal:       24 kB\nMemFree:  3 kB\nSwapTotal:        0 kB\nCommitLimit:    12 kB\nCommitted_AS:     13 kB\nHugePages_Total:       0\n"
	if m, err := ParseMemInfo(text); err != nil || m != (MemInfo{Total: 24 << 10, CommitLimit: 12 << 10, Committed: 13 << 10}) {
		t.Errorf("%+v, %v", m, err)
	}
	for _, bad := range []string{"", strings.Replace(text, "24", "x", 1), strings.Replace(text, "CommitLimit", "Limit", 1), strings.Replace(text, "13", "99999999999999999999", 1)} {
		if m, err := ParseMemInfo(bad); err == nil {
			t.Errorf("%q gives %+v", bad, m)
		}
	}
}

func TestParseMaps(t *testing.T) {
	maps, err := ParseMaps([]byte("00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/a b (deleted)\n7f00-7f10 rw-s 00000000 00:01 5 /dev/zero (deleted)\nffff0-fffff ---p 00000000 00:00 0 \n"))
	want := []VMA{
		{Start: 0x400000, End: 0x452000, Prot: unix.PROT_READ | unix.PROT_EXEC, Offset: 0x1000, Major: 8, Minor: 2, Inode: 173521, Path: "/usr/bin/a b (deleted)"},
		{Start: 0x7f00, End: 0x7f10, Prot: unix.PROT_READ | unix.PROT_WRITE, Shared: true, Minor: 1, Inode: 5, Path: "/dev/zero (deleted)"},
		{Start: 0xffff0, End: 0xfffff},
	}
	if err != nil || !reflect.DeepEqual(maps, want) {
		t.Errorf("%+v, %v", maps, err)
	}
	for _, bad := range []string{"\n", "1-2\n", "1-2 rwxp 0 0:0\n", "1 rwxp 0 0:0 0 \n", "1-g rwxp 0 0:0 0 \n", "1-2 rwx? 0 0:0 0 \n", "11111111111111111-2 r--p 0 0:0 0 \n"} {
		if maps, err := ParseMaps([]byte(bad)); err == nil {
			t.Errorf("%q gives %+v", bad, maps)
		}
	}
}

func TestParseSmaps(t *testing.T) {
	const text = "1000-3000 rw-p 00000000 00:00 0          [heap]\nSize:                  8 kB\nKernelPageSize:        4 kB\nRss:                   8 kB\nSwap:                  4 kB\nProtectionKey:         3\nVmFlags: rd wr mr mw me ac sd \n"
	areas, err := ParseSmaps([]byte(text))
	if err != nil || len(areas) != 1 {
		t.Fatal(areas, err)
	}
	if a := areas[0]; a.Rss != 8192 || a.Swap != 4096 || a.KernelPageSize != 4096 || a.ProtectionKey != 3 || !a.Has("mw") || a.Has("m") || a.Path != "[heap]" {
		t.Errorf("%+v", a)
	}
	for _, bad := range []string{"Rss: 1 kB\n", strings.Replace(text, "Rss:                   8 kB", "Rss: 8", 1), strings.Replace(text, "Key:         3", "Key: x", 1)} {
		if areas, err := ParseSmaps([]byte(bad)); err == nil {
			t.Errorf("%q gives %+v", bad, areas)
		}
	}
}

func TestParseLock(t *testing.T) {
	for line, want := range map[string]Lock{
		"1: POSIX  ADVISORY  WRITE 359 00:13:11691 10 14":        {"POSIX", "ADVISORY", "WRITE", 359, 10, 14},
		"12: OFDLCK ADVISORY  READ -1 fe:00:7 1099511627776 EOF": {"OFDLCK", "ADVISORY", "READ", -1, 1 << 40, -1},
		"1: LEASE  BREAKING  READ 5 08:01:9 0 EOF":               {"LEASE", "BREAKING", "READ", 5, 0, -1},
	} {
		if l, err := ParseLock(line); err != nil || *l != want {
			t.Errorf("%q: %+v, %v", line, l, err)
		}
	}
	for _, bad := range []string{"", "1: FLOCK", "1: FLOCK  ADVISORY  WRITE x 00:13:1 0 EOF", "1: FLOCK  ADVISORY  WRITE 1 00:13:1 9 5", "1: FLOCK  ADVISORY  WRITE 1 00:13:1 - EOF"} {
		if l, err := ParseLock(bad); err == nil {
			t.Errorf("%q: %+v", bad, l)
		}
	}
}

func TestParseFDInfo(t *testing.T) {
	f, err := ParseFDInfo("pos:\t-1\nflags:\t02100002\nmnt_id:\t15\nino:\t99\ntfd:        5 events:       19 data: 5\nlock:\t1: FLOCK\n")
	if err != nil || f.Position != -1 || f.Flags != 0o2100002 || f.MountID != 15 || f.Inode != 99 || len(f.More) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	if v, ok := f.Get("lock"); !ok || v != "1: FLOCK" {
		t.Errorf("lock is %q", v)
	}
	for _, bad := range []string{"pos:\tx\n", "flags:\t9\n", "mnt_id:\t\n"} {
		if f, err := ParseFDInfo(bad); err == nil {
			t.Errorf("%q gives %+v", bad, f)
		}
	}
}

// FuzzParsers: no text makes a parser panic.
func FuzzParsers(f *testing.F) {
	for _, name := range []string{"stat", "status", "maps", "smaps", "limits", "cgroup", "mountinfo", "fdinfo/0"} {
		if text, err := os.ReadFile("/proc/self/" + name); err == nil {
			f.Add(string(text[:min(len(text), 4096)]))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = ParseTaskStat(text)
		_, _ = ParseTaskStatus(text)
		_, _ = ParseMaps([]byte(text))
		_, _ = ParseSmaps([]byte(text))
		_, _ = ParseLimits(text)
		_, _ = ParseFDInfo(text)
		_, _ = ParseMemoryStat(text)
		_, _ = ParseCgroupPaths(text)
		ParseCgroupMounts(text)
	})
}
