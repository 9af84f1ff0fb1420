package queues

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/dumper/bpf"
	"lxc-checkpoint/dumper/view"
	"lxc-checkpoint/image/format"
	"lxc-checkpoint/internal/sys"
	"lxc-checkpoint/refusal"
)

// sample are messages that no other order than theirs tells from each other.
var sample = []*format.QueuedMessage{
	{Priority: 32767, Data: []byte("highest")}, {Priority: 7, Data: []byte(strings.Repeat("long", 3000))},
	{Priority: 7, Data: []byte("after it")}, {Priority: 1, Data: nil}, {Priority: 0, Data: []byte("last")},
}

// queue makes one with the sample in it, from the last to the first priority.
func queue(t *testing.T) (fd int) {
	t.Helper()
	name := fmt.Sprintf("lxc-checkpoint-%s-%d", t.Name(), os.Getpid())
	for _, setting := range []string{"msg_max", "msgsize_max"} {
		if _, err := os.Stat("/proc/sys/fs/mqueue/" + setting); err != nil {
			t.Skip("this kernel has no POSIX message queues")
		}
	}
	fd, err := sys.MqOpen(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600, &sys.QueueAttributes{MostMessages: 6, MessageSize: 16384})
	if err == unix.EINVAL { // beyond fs.mqueue.msgsize_max, without CAP_SYS_RESOURCE
		sample[1].Data = sample[1].Data[:8000]
		fd, err = sys.MqOpen(name, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o600, &sys.QueueAttributes{MostMessages: 6, MessageSize: 8192})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := sys.MqUnlink(name); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{4, 1, 2, 3, 0} {
		if err := sys.MqSend(fd, sample[i].Data, sample[i].Priority); err != nil {
			t.Fatal(err)
		}
	}
	return fd
}

func same(t *testing.T, what string, all []*format.QueuedMessage) {
	t.Helper()
	if len(all) != len(sample) {
		t.Fatalf("%s: %d messages, not %d", what, len(all), len(sample))
	}
	for i, m := range all {
		if m.Priority != sample[i].Priority || string(m.Data) != string(sample[i].Data) {
			t.Errorf("%s: message %d is %d bytes with priority %d", what, i, len(m.Data), m.Priority)
		}
	}
}

// looked looks at a queue; k may be nil.
func looked(t *testing.T, fd int, k view.Kernel, task uint64) []*format.QueuedMessage {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	path := fmt.Sprintf("/proc/self/fd/%d", fd)
	if !Is(path, &st) {
		t.Error("it is not taken for a queue")
	}
	l := &Looker{IDs: &view.IDs{}, Namespaces: map[uint64]uint32{st.Dev: 0}, Task: task}
	if k != nil {
		l.Kernel = func() (view.Kernel, error) { return k, nil }
	}
	q, err := l.Of("name", &st, func(flags int) (int, error) { return unix.Open(path, flags, 0) })
	if err != nil {
		t.Fatal(err)
	}
	if !q.Removed || q.MostMessages != 6 || len(l.Found) != 1 {
		t.Errorf("it is %v", q)
	}
	return q.Messages
}

// TestLook: both ways tell the same, and leave the messages where they are.
func TestLook(t *testing.T) {
	fd := queue(t)
	same(t, "received and put back", looked(t, fd, nil, 0))
	teller, err := bpf.Open()
	if err == nil {
		defer teller.Close()
		facts, err := teller.Tasks([]int{os.Getpid()})
		if err != nil {
			t.Fatal(err)
		}
		kernel, err := bpf.OpenMemory()
		if err != nil {
			t.Fatal(err)
		}
		defer kernel.Close()
		same(t, "by eBPF", looked(t, fd, kernel, facts[os.Getpid()].Address))
	}
	same(t, "again", looked(t, fd, nil, 0))
}

// TestFailure: to fail half-way leaves the messages where they are.
func TestFailure(t *testing.T) {
	fd := queue(t)
	if _, err := take(fd, len(sample), 10); err == nil { // too little room for the second
		t.Error("a message of 12,000 bytes fits into 10")
	}
	if _, err := take(fd, len(sample)+1, 16384); err == nil {
		t.Error("there is one message more")
	}
	all, err := take(fd, len(sample), 16384)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "after the failures", all)
}

// TestOtherNamespace: a queue of an IPC namespace that is not the container's is
// refused, and nobody opens it.
func TestOtherNamespace(t *testing.T) {
	l := &Looker{Namespaces: map[uint64]uint32{7: 0}}
	_, err := l.Of("other", &unix.Stat_t{Dev: 8, Ino: 1}, func(int) (int, error) {
		t.Error("it is opened")
		return -1, unix.EBADF
	})
	var refused *refusal.Refusal
	if !errors.As(err, &refused) || !strings.Contains(refused.Reason, "an IPC namespace that is not the container's") || refused.Remedy == "" {
		t.Errorf("it should be refused: %v", err)
	}
}
