// Package progress counts bytes and shows them as one line on a terminal.
package progress

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// Progress is a count of bytes that a terminal may show: nothing during the
// first second, then a line that is written anew a few times a second, and
// nothing at the end. A nil *Progress counts and shows nothing. Its methods
// may be called from any goroutine.
type Progress struct {
	w           io.Writer
	begin       time.Time
	total, done atomic.Int64
	once        sync.Once
	stop, ended chan struct{}
}

const (
	delay    = time.Second
	interval = 200 * time.Millisecond
)

// New begins to count. With isTerminal false nothing is ever shown.
func New(w io.Writer, isTerminal bool) *Progress {
	p := &Progress{w: w, begin: time.Now(), stop: make(chan struct{}), ended: make(chan struct{})}
	if isTerminal {
		go p.show()
	} else {
		close(p.ended)
	}
	return p
}

// SetTotal says how many bytes are expected; 0 is unknown.
func (p *Progress) SetTotal(bytes int64) {
	if p != nil {
		p.total.Store(bytes)
	}
}

// Add counts n more bytes.
func (p *Progress) Add(n int64) {
	if p != nil {
		p.done.Add(n)
	}
}

// Done erases the line. Nothing is shown after it has returned.
func (p *Progress) Done() {
	if p != nil {
		p.once.Do(func() { close(p.stop) })
		<-p.ended
	}
}

func (p *Progress) show() {
	defer close(p.ended)
	shown := false
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-p.stop:
			if shown {
				_, _ = io.WriteString(p.w, "\r\x1b[K")
			}
			return
		case <-timer.C:
			if p.done.Load() > 0 {
				_, _ = fmt.Fprintf(p.w, "\r%s\x1b[K", line(p.done.Load(), p.total.Load(), time.Since(p.begin)))
				shown = true
			}
			timer.Reset(interval)
		}
	}
}

// line is what the terminal shows, at most 60 characters.
func line(done, total int64, spent time.Duration) string {
	rate := float64(done) / spent.Seconds()
	if total < done || rate <= 0 {
		return fmt.Sprintf("%s, %s/s", size(done), size(int64(rate)))
	}
	left := time.Duration(float64(total-done) / rate * float64(time.Second))
	return fmt.Sprintf("%s of %s, %s/s, %s left", size(done), size(total), size(int64(rate)), duration(left))
}

func duration(d time.Duration) string {
	switch s := int64(d.Round(time.Second).Seconds()); {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	default:
		return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
	}
}

func size(n int64) string {
	const units = "KMGTPE"
	f, i := float64(n)/1024, 0
	for f >= 1023.95 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", f, units[i])
}
