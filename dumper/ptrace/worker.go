package ptrace

import (
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// worker is a goroutine on an OS thread of its own: the kernel takes ptrace
// requests for a task from the very thread that attached it. When it ends, so
// does the thread, and the kernel detaches whatever it still traces.
type worker struct {
	jobs chan job
	quit chan struct{} // closed: end
	done chan struct{} // closed: it has ended
	tid  int           // of the thread; valid once done is closed
}

type job struct {
	f      func() error
	result chan outcome
}

type outcome struct {
	err      error
	panicked any
}

func startWorker() *worker {
	w := &worker{jobs: make(chan job), quit: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

func (w *worker) run() {
	runtime.LockOSThread()
	if unix.Gettid() == os.Getpid() {
		// The process's first thread can't end alone. Keep it busy, so that
		// the next goroutine gets another one.
		defer runtime.UnlockOSThread()
		go w.run()
		<-w.done
		return
	}
	// No UnlockOSThread: the thread ends with the goroutine.
	w.tid = unix.Gettid()
	defer close(w.done)
	for {
		select {
		case j := <-w.jobs:
			j.result <- j.call()
		case <-w.quit:
			return
		}
	}
}

func (j job) call() (o outcome) {
	finished := false
	defer func() {
		if !finished {
			o.panicked = recover()
		}
	}()
	o.err = j.f()
	finished = true
	return o
}

// do runs f on the worker's thread. A panic of f goes on in the caller, whose
// deferred Release can still use the worker.
func (w *worker) do(f func() error) error {
	result := make(chan outcome)
	select {
	case w.jobs <- job{f, result}:
	case <-w.done:
		return errors.New("the container is no longer held")
	}
	o := <-result
	if o.panicked != nil {
		panic(o.panicked)
	}
	return o.err
}

// stop ends the thread, once, and returns when the kernel has detached all that
// it traced, which it does as the thread ends, just after the goroutine.
func (w *worker) stop() {
	close(w.quit)
	<-w.done
	for range 1000 {
		if unix.Tgkill(os.Getpid(), w.tid, 0) != nil {
			return
		}
		time.Sleep(100 * time.Microsecond)
	}
}
