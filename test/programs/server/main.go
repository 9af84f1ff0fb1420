// Command server is an HTTP server with thousands of open timers, and its own
// clients, which keep their connections: see programs_test.go.
//
// Usage: server unix tcp (over which sockets)
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	clients = 6
	timers  = 5000
	enough  = 100 // requests, and ticks
	tickers = 20
)

var (
	requests, fired, ticks atomic.Int64

	mutex  sync.Mutex
	faults []string
)

func fault(format string, args ...any) {
	mutex.Lock()
	defer mutex.Unlock()
	faults = append(faults, fmt.Sprintf(format, args...))
}

// serve answers with the digest of what came, after a pause if one is asked for.
func serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		fault("the server reads: %v", err)
	}
	pause, _ := strconv.Atoi(r.URL.Query().Get("pause"))
	timer := time.NewTimer(time.Duration(pause) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
		fault("a client is gone: %v", r.Context().Err())
	}
	fmt.Fprintf(w, "%x", sha256.Sum256(body))
}

// ask is a client that never makes a connection twice.
func ask(ctx context.Context, number int, place net.Addr) {
	connections := 0
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		connections++
		return new(net.Dialer).DialContext(ctx, place.Network(), place.String())
	}}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	for n := 0; ctx.Err() == nil; n++ {
		data := bytes.Repeat([]byte(fmt.Sprint(number, n)), n*131%20_000+1)
		response, err := client.Post(fmt.Sprintf("http://server?pause=%d", n%8), "text/plain", bytes.NewReader(data))
		if err != nil {
			fault("client %d, request %d: %v", number, n, err)
			return
		}
		answer, err := io.ReadAll(response.Body)
		response.Body.Close()
		want := sha256.Sum256(data)
		if err != nil || string(answer) != hex.EncodeToString(want[:]) {
			fault("client %d, request %d: %v, and another answer", number, n, err)
		}
		requests.Add(1)
	}
	if connections != 1 {
		fault("client %d had to connect %d times", number, connections)
	}
}

// wind starts a timer that starts itself again and never comes too early.
func wind(ctx context.Context, after time.Duration) {
	begin := time.Now()
	time.AfterFunc(after, func() {
		if waited := time.Since(begin); waited < after {
			fault("a timer of %v came after %v", after, waited)
		}
		fired.Add(1)
		if ctx.Err() == nil {
			wind(ctx, after)
		}
	})
}

func tick(ctx context.Context, every time.Duration) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-t.C:
			ticks.Add(1)
		case <-ctx.Done():
			return
		}
	}
}

func write(name, text string) {
	if err := os.WriteFile(name+".new", []byte(text), 0o644); err != nil {
		panic(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		panic(err)
	}
}

func main() {
	server := http.Server{Handler: http.HandlerFunc(serve)}
	var places []net.Addr
	for _, network := range os.Args[1:] {
		listener, err := net.Listen(network, map[string]string{"unix": "http.sock", "tcp": "127.0.0.1:8000"}[network])
		if err != nil {
			panic(err)
		}
		places = append(places, listener.Addr())
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				fault("the server: %v", err)
			}
		}()
	}
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() { ask(ctx, i, places[i%len(places)]) })
	}
	for i := range timers {
		wind(ctx, time.Duration(50+i%500)*time.Millisecond)
	}
	for i := range tickers {
		all.Go(func() { tick(ctx, time.Duration(i+1)*time.Millisecond) })
	}
	for {
		// On a slow machine a hundred requests take their time.
		if _, err := os.Stat("stop"); err == nil && requests.Load() >= enough && fired.Load() >= timers && ticks.Load() >= enough {
			break
		}
		time.Sleep(20 * time.Millisecond)
		write("progress", fmt.Sprintf("%d requests, %d timers, %d ticks", requests.Load(), fired.Load(), ticks.Load()))
	}
	stop()
	all.Wait()
	if err := server.Shutdown(context.Background()); err != nil {
		fault("the server's end: %v", err)
	}
	if len(faults) > 0 {
		write("result", "fail: "+faults[0])
		return
	}
	write("result", "pass")
}
