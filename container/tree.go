package container

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stat is what we need of /proc/PID/stat (proc_pid_stat(5)).
type stat struct {
	state  byte
	parent int
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	// The name may hold blanks and parentheses: the last one ends it.
	s := string(text)
	fields := strings.Fields(s[strings.LastIndexByte(s, ')')+1:])
	if len(fields) < 2 {
		return stat{}, fmt.Errorf("/proc/%d/stat is not as proc_pid_stat(5) has it: %q", pid, s)
	}
	parent, err := strconv.Atoi(fields[1])
	return stat{state: fields[0][0], parent: parent}, err
}

// statusLine returns the words of a line of /proc/PID/status.
func statusLine(pid int, key string) []string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, key+":"); found {
			return strings.Fields(rest)
		}
	}
	return nil
}

// threadGroup returns the process that a task belongs to, 0 if it is gone.
func threadGroup(tid int) int {
	if words := statusLine(tid, "Tgid"); len(words) == 1 {
		pid, _ := strconv.Atoi(words[0])
		return pid
	}
	return 0
}

// isNamespaceInit tells whether a process is the first of a pid namespace
// that is not ours.
func isNamespaceInit(pid int) bool {
	words := statusLine(pid, "NSpid")
	return len(words) > 1 && words[len(words)-1] == "1"
}

// roots returns the processes of a cgroup whose parent is not in it.
func roots(dir string) ([]int, error) {
	pids, err := processes(dir)
	if err != nil {
		return nil, err
	}
	member := make(map[int]bool, len(pids))
	for _, pid := range pids {
		member[pid] = true
	}
	var found []int
	for _, pid := range pids {
		s, err := readStat(pid)
		if err != nil {
			if gone(err) {
				continue
			}
			return nil, err
		}
		if !member[s.parent] {
			found = append(found, pid)
		}
	}
	return found, nil
}

// Each kind of namespace by its name in /proc/PID/ns.
var namespaces = []struct {
	name string
	flag uint64
}{
	{"mnt", unix.CLONE_NEWNS},
	{"uts", unix.CLONE_NEWUTS},
	{"ipc", unix.CLONE_NEWIPC},
	{"pid", unix.CLONE_NEWPID},
	{"net", unix.CLONE_NEWNET},
	{"user", unix.CLONE_NEWUSER},
	{"cgroup", unix.CLONE_NEWCGROUP},
	{"time", unix.CLONE_NEWTIME},
}

const namespaceFlags = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWPID |
	unix.CLONE_NEWNET | unix.CLONE_NEWUSER | unix.CLONE_NEWCGROUP | unix.CLONE_NEWTIME

// ownNamespaces returns the CLONE_NEW* of the namespaces that a process is in
// and we are not.
func ownNamespaces(pid int) uint64 {
	var flags uint64
	for _, n := range namespaces {
		ours, err1 := os.Readlink(filepath.Join("/proc/self/ns", n.name))
		its, err2 := os.Readlink(filepath.Join("/proc", strconv.Itoa(pid), "ns", n.name))
		if err1 == nil && err2 == nil && ours != its {
			flags |= n.flag
		}
	}
	return flags
}
