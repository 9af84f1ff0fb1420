// Package procfs parses what the kernel tells as text below /proc, one
// function per file and without any logic of its own.
package procfs

import (
	"fmt"
	"strings"
)

// Status is /proc/PID/status.
type Status = TaskStatus

// ReadStatus reads /proc/PID/status of a process, or of a thread by its tid.
func ReadStatus(pid int) (*Status, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil, err
	}
	s, err := ParseTaskStatus(string(text))
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// ReadStat reads /proc/PID/stat of a process, or of a thread by its tid.
func ReadStat(pid int) (*TaskStat, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	s, err := ParseTaskStat(string(text))
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// ReadTaskStat reads /proc/PID/task/TID/stat: other than ReadStat of a tid, it
// does not have the kernel add up what all threads of the process have used.
func ReadTaskStat(pid, tid int) (*TaskStat, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/task/%d/stat", pid, tid))
	if err != nil {
		return nil, err
	}
	s, err := ParseTaskStat(string(text))
	if err != nil {
		return nil, err
	}
	return &s, nil
}

// ReadCgroupPaths reads /proc/PID/cgroup.
func ReadCgroupPaths(pid int) ([]CgroupPath, error) {
	text, err := ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	return ParseCgroupPaths(string(text))
}

// ReadComm reads the name of a process, or of a thread by its tid; "" if it is
// gone.
func ReadComm(pid int) string {
	text, _ := ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSuffix(string(text), "\n")
}
