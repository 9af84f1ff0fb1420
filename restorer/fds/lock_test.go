package fds

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
)

// locked is a file that was locked, made again in a helper, which has the lock
// not yet.
func locked(t *testing.T, l *format.FileLock) (*Restart, *helper) {
	h := newHelper(t)
	must(t, os.WriteFile(h.root("/data/f"), []byte("0123456789"), 0o644))
	f := regular(h, 1, "/data/f", unix.O_RDWR, 0)
	table := at(f)
	if l.Kind == format.LockKind_LOCK_RECORD {
		l.Number = table.Descriptors[0].Number
		table.Locks = []*format.FileLock{l}
	} else {
		f.Locks = []*format.FileLock{l}
	}
	return build(t, &format.Skeleton{OpenFiles: []*format.OpenFile{f}, Files: []*format.Files{table}}, h), h
}

// TestLockTaken: a lock that somebody else has taken since the checkpoint is
// named, as is a file that must not be open elsewhere.
func TestLockTaken(t *testing.T) {
	whole := unix.Flock_t{Type: unix.F_WRLCK}
	for _, c := range []struct {
		lock *format.FileLock
		take func(f *os.File) error
		want string
	}{
		{&format.FileLock{Kind: format.LockKind_LOCK_FLOCK, Exclusive: true}, func(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_SH) }, "lock (flock)"},
		{&format.FileLock{Kind: format.LockKind_LOCK_RECORD, Start: 4, Length: 2}, func(f *os.File) error { return unix.FcntlFlock(f.Fd(), unix.F_SETLK, &whole) }, "record lock"},
		{&format.FileLock{Kind: format.LockKind_LOCK_DESCRIPTION, Start: 4}, func(f *os.File) error { return unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &whole) }, "record lock"},
		{&format.FileLock{Kind: format.LockKind_LOCK_LEASE, Exclusive: true}, func(*os.File) error { return nil }, "lease"},
	} {
		r, h := locked(t, c.lock)
		must(t, r.Close())
		f, err := os.OpenFile(h.root("/data/f"), os.O_RDWR, 0)
		must(t, err)
		must(t, c.take(f))
		holders := []Holder{{Process: 1, Table: r.skeleton.Files[0].Id, Task: h}}
		err = r.Lock(holders)
		if err == nil || !strings.Contains(err.Error(), "process 1 had a "+c.want) || !strings.Contains(err.Error(), "somebody outside") {
			t.Errorf("%v: %v", c.lock, err)
		}
		must(t, f.Close())
		must(t, r.Lock(holders))
	}
}
