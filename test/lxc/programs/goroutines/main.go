// Command goroutines has 50 goroutines that count, each into a file go.NUMBER,
// 1, 2, 3 … in lines, in a Debian container of the tests. What one finds wrong
// goes into the file go.wrong.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	goroutines = 50
	tick       = 20 * time.Millisecond
)

// A debugger finds in known a number that is not in the program's file, and
// in steps how far each goroutine is: its last line, or one more.
var (
	known int64
	steps [goroutines]int64
)

// A nap is a way to wait for a moment.
type nap func() error

func main() {
	var err error
	if known, err = strconv.ParseInt("314159265358", 10, 64); err != nil {
		panic(err)
	}
	var all sync.WaitGroup
	for i := range goroutines {
		all.Go(func() {
			if err := count(i); err != nil {
				wrong("goroutine %d: %v", i, err)
			}
		})
	}
	all.Wait()
}

// count never ends, unless something is wrong.
func count(i int) error {
	rest, err := naps[i%len(naps)]()
	if err != nil {
		return err
	}
	out, err := os.Create(fmt.Sprintf("go.%d", i))
	if err != nil {
		return err
	}
	defer out.Close()
	sum, seen := int64(0), map[int64]string{}
	for n := int64(1); ; n++ {
		if steps[i] != n-1 || sum*2 != n*(n-1) || known != 314159265358 {
			return fmt.Errorf("counts %d after %d, the sum is %d, known is %d", n, steps[i], sum, known)
		}
		if want := seen[n-1]; n > 1 && want != fmt.Sprint(n-1) {
			return fmt.Errorf("after %d its map has %q", n-1, want)
		}
		delete(seen, n-1) // garbage for the collector
		seen[n], steps[i], sum = fmt.Sprint(n), n, sum+n
		if _, err := fmt.Fprintln(out, n); err != nil {
			return err
		}
		if err := rest(); err != nil {
			return err
		}
	}
}

// naps are the ways that a goroutine has to wait: Go's timers, its poller, its
// locks, a thread of its own in a system call, and keeping its processor.
var naps = []func() (nap, error){
	func() (nap, error) {
		return func() error { time.Sleep(tick); return nil }, nil
	},
	func() (nap, error) {
		t := time.NewTicker(tick)
		return func() error { <-t.C; return nil }, nil
	},
	func() (nap, error) {
		r, w, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		return func() error {
			time.AfterFunc(tick, func() { _, _ = w.WriteString("x") })
			_, err := r.Read(make([]byte, 1))
			return err
		}, nil
	},
	func() (nap, error) {
		var m sync.Mutex
		c := sync.NewCond(&m)
		return func() error {
			m.Lock()
			defer m.Unlock()
			time.AfterFunc(tick, func() { m.Lock(); c.Signal(); m.Unlock() })
			c.Wait()
			return nil
		}, nil
	},
	func() (nap, error) {
		runtime.LockOSThread()
		thread := syscall.Gettid()
		return func() error {
			if now := syscall.Gettid(); now != thread {
				return fmt.Errorf("its thread is %d and was %d", now, thread)
			}
			t := syscall.NsecToTimespec(int64(tick))
			for {
				if err := syscall.Nanosleep(&t, &t); err != syscall.EINTR {
					return err
				}
			}
		}, nil
	},
	func() (nap, error) {
		return func() error {
			for begin := time.Now(); time.Since(begin) < tick/50; {
			}
			time.Sleep(tick)
			return nil
		}, nil
	},
}

func wrong(format string, args ...any) {
	out, err := os.OpenFile("go.wrong", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		panic(err)
	}
	defer out.Close()
	fmt.Fprintf(out, format+"\n", args...)
}
