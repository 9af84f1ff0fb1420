package progress

import (
	"strings"
	"sync"
	"testing"
	"time"
)

type screen struct {
	sync.Mutex
	strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.Lock()
	defer s.Unlock()
	return s.Builder.Write(b)
}

func TestShown(t *testing.T) {
	var terminal, quick, file screen
	p := New(&terminal, true)
	q := New(&quick, true)
	f := New(&file, false)
	for _, p := range []*Progress{p, q, f, nil} {
		p.SetTotal(100 << 20)
		p.Add(10 << 20)
	}
	q.Done()
	time.Sleep(delay + interval)
	for _, p := range []*Progress{p, q, f, nil} {
		p.Done()
		p.Done()
	}
	if s := terminal.String(); !strings.Contains(s, "\r10.0 MiB of 100.0 MiB, ") || !strings.HasSuffix(s, "\r\x1b[K") {
		t.Errorf("the terminal shows %q", s)
	}
	if s := quick.String() + file.String(); s != "" {
		t.Errorf("shown too soon or to a file: %q", s)
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct {
		done, total int64
		spent       time.Duration
		want        string
	}{
		{1 << 30, 4 << 30, 2 * time.Second, "1.0 GiB of 4.0 GiB, 512.0 MiB/s, 6 s left"},
		{1 << 30, 0, 2 * time.Second, "1.0 GiB, 512.0 MiB/s"},
		{3 << 20, 2 << 20, time.Second, "3.0 MiB, 3.0 MiB/s"},
		{0, 1, time.Second, "0.0 KiB, 0.0 KiB/s"},
		{1 << 20, 1 << 40, time.Second, "1.0 MiB of 1.0 TiB, 1.0 MiB/s, 291 h 16 min left"},
		{1 << 20, 100 << 20, time.Second, "1.0 MiB of 100.0 MiB, 1.0 MiB/s, 1 min 39 s left"},
	} {
		if got := line(c.done, c.total, c.spent); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}
