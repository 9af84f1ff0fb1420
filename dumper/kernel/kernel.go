// Package kernel reads in the kernel's own memory what no call tells: connections
// that wait to be accepted, of TCP and UNIX sockets, what lies unread there, the messages in POSIX
// message queues, and what is waited for in files of pressure.
package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"lxc-checkpoint/dumper/view"
)

// Memory is the kernel's.
type Memory struct {
	view.Kernel
	task  uint64 // the task_struct of any task
	pages pages
}

// New reads by way of k; task is where the kernel has some task.
func New(k view.Kernel, task uint64) *Memory { return &Memory{Kernel: k, task: task} }

// member is where a member of a structure lies.
func (m *Memory) member(base uint64, in, name string) (uint64, error) {
	at, err := m.Member(in, name)
	if err == nil && base == 0 {
		err = fmt.Errorf("a pointer to a struct %s is none", in)
	}
	return base + uint64(at), err
}

// number reads a member of so many bytes.
func (m *Memory) number(base uint64, in, name string, size int) (uint64, error) {
	at, err := m.member(base, in, name)
	if err != nil {
		return 0, err
	}
	word := make([]byte, 8)
	if err := m.Read(at, word[:size]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(word), nil // as both CPUs are here
}

func (m *Memory) word(base uint64, in, name string) (uint64, error) {
	return m.number(base, in, name, 8)
}

// pointer follows a chain of members, each of which is a pointer to the structure
// of the next: it returns the last of them.
func (m *Memory) pointer(base uint64, chain ...string) (uint64, error) {
	for ; len(chain) > 0; chain = chain[2:] {
		next, err := m.word(base, chain[0], chain[1])
		if err != nil {
			return 0, err
		}
		base = next
	}
	return base, nil
}

// Socket is the address of the struct sock of a descriptor of a task.
func (m *Memory) Socket(task uint64, fd uint32) (uint64, error) {
	file, err := m.file(task, fd)
	if err != nil {
		return 0, err
	}
	return m.pointer(file, "file", "private_data", "socket", "sk")
}

// file is the address of the struct file of a descriptor of a task.
func (m *Memory) file(task uint64, fd uint32) (uint64, error) {
	table, err := m.pointer(task, "task_struct", "files", "files_struct", "fdt", "fdtable", "fd")
	if err != nil {
		return 0, err
	}
	b := make([]byte, 8)
	err = m.Read(table+8*uint64(fd), b)
	return binary.LittleEndian.Uint64(b), err
}

// ourselves finds our own process in the kernel's list of all.
func (m *Memory) ourselves() (uint64, error) {
	first, err := m.word(m.task, "task_struct", "group_leader")
	if err != nil {
		return 0, err
	}
	link, err := m.Member("task_struct", "tasks")
	if err != nil {
		return 0, err
	}
	const most = 1 << 22 // PID_MAX_LIMIT
	task := first
	for range most {
		pid, err := m.number(task, "task_struct", "tgid", 4)
		if err != nil {
			return 0, err
		}
		if int(pid) == os.Getpid() {
			return task, nil
		}
		next, err := m.word(task, "task_struct", "tasks.next")
		if err != nil {
			return 0, err
		}
		if task = next - uint64(link); task == first {
			break
		}
	}
	return 0, errors.New("we are not in the kernel's list of processes")
}
