package lxc

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// programs are what runs in a Debian container of the tests, seen from
// outside: see the directory of that name.
type programs struct {
	b          *box
	counters   []*counter // of each thread and goroutine
	identities string     // of the threads of python3
	threads    threads
	redis      redis
}

// How many counters each program has.
var counting = map[string]int{"go.%d": 50, "python.t%d": 10, "c.%d": 4}

// debian makes and starts a container with a Debian root file system, in which
// the programs run.
func debian(t *testing.T) (*box, *programs) {
	t.Helper()
	b := createDebian(t)
	b.start()
	b.expect("RUNNING")
	return b, watch(b)
}

// createDebian makes one whose root file system is a copy of the cached one.
func createDebian(t *testing.T) *box {
	t.Helper()
	need.Check(t, need.CC)
	cached := harness.DebianRootfs(t, harness.DebianPackages)
	b := newBox(t, "debian")
	if err := os.MkdirAll(b.rootfs, 0o755); err != nil {
		t.Fatal(err)
	}
	harness.Must(t, "cp", "-a", "--reflink=auto", cached+"/.", b.rootfs)
	installPrograms(t, b.rootfs)
	b.configure("dir:" + b.rootfs)
	return b
}

// configure writes the container's config, as one for LXC's Debian template
// has it, but for the network and the first process.
func (b *box) configure(rootfs string) {
	b.t.Helper()
	write(b.t, filepath.Join(filepath.Dir(b.rootfs), "config"), strings.Join([]string{
		"lxc.include = /usr/share/lxc/config/common.conf",
		"lxc.uts.name = " + b.name,
		"lxc.rootfs.path = " + rootfs,
		"lxc.net.0.type = empty",
		"lxc.net.0.flags = up",             // the loopback device
		"lxc.apparmor.profile = generated", // as Debian's default.conf has it
		"lxc.apparmor.allow_nesting = 1",
		"lxc.init.cmd = /srv/programs/init.sh",
	}, "\n")+"\n")
}

// installPrograms puts the programs into a root file system.
func installPrograms(t *testing.T, rootfs string) {
	t.Helper()
	source, err := filepath.Abs("programs")
	if err != nil {
		t.Fatal(err)
	}
	srv := filepath.Join(rootfs, "srv")
	dir := filepath.Join(srv, "programs")
	for _, d := range []string{dir, filepath.Join(srv, "counts")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"init.sh", "redis.conf", "threads.py"} {
		harness.Must(t, "cp", filepath.Join(source, name), dir)
	}
	harness.Must(t, "gcc", "-g", "-O0", "-pthread", "-o", filepath.Join(dir, "threads"), filepath.Join(source, "threads.c"))
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "goroutines"), ".")
	build.Dir, build.Env = filepath.Join(source, "goroutines"), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// watch waits until the programs of a container run, and fills redis.
func watch(b *box) *programs {
	b.t.Helper()
	p := &programs{b: b, redis: redis{b: b}}
	for pattern, n := range counting {
		for i := range n {
			p.counters = append(p.counters, &counter{b: b, file: filepath.Join("srv/counts", fmt.Sprintf(pattern, i))})
		}
	}
	p.redis.await()
	p.redis.fill()
	p.goesOn()
	p.identities = p.identify()
	p.threads = b.threads()
	return p
}

// goesOn waits until each thread and goroutine has counted further, without a
// gap or a repeat.
func (p *programs) goesOn() {
	p.b.t.Helper()
	for _, c := range p.counters {
		c.goesOn()
	}
	p.right()
}

// stands checks that none counts.
func (p *programs) stands() {
	p.b.t.Helper()
	for _, c := range p.counters {
		c.mark = c.look()
	}
	time.Sleep(150 * time.Millisecond)
	for _, c := range p.counters {
		if n := c.look(); n != c.mark {
			p.b.t.Fatalf("counter %s runs: %d, then %d", c.file, c.mark, n)
		}
	}
}

// same fails unless everything in the container is as at the beginning, by its
// looks from inside and from outside.
func (p *programs) same() {
	p.b.t.Helper()
	if now := p.identify(); now != p.identities {
		p.b.t.Errorf("python's threads are\n%sand were\n%s", now, p.identities)
	}
	p.threads.lost(p.b.t, p.b.threads())
	p.redis.check()
	p.right()
}

// right fails if a program has found something wrong.
func (p *programs) right() {
	p.b.t.Helper()
	complaints, _ := filepath.Glob(filepath.Join(p.b.rootfs, "srv/counts/*.wrong"))
	for _, file := range complaints {
		text, _ := os.ReadFile(file)
		p.b.t.Fatalf("%s:\n%s", filepath.Base(file), text)
	}
	log, err := os.ReadFile(filepath.Join(p.b.rootfs, "srv/log"))
	if err != nil {
		p.b.t.Fatal(err)
	}
	for _, word := range []string{"Traceback", "panic:", "fatal error:", "REDIS BUG REPORT"} {
		if bytes.Contains(log, []byte(word)) {
			p.b.t.Fatalf("the programs' log:\n%s", log)
		}
	}
}

// identify returns what python's threads say of themselves, once they have
// said it anew.
func (p *programs) identify() string {
	p.b.t.Helper()
	file := filepath.Join(p.b.rootfs, "srv/counts/python.identities")
	var before, now os.FileInfo
	var text []byte
	harness.Until(p.b.t, "python's threads to say who they are", 10*time.Second, func() bool {
		var err error
		if now, err = os.Stat(file); err != nil {
			return false
		}
		if before == nil {
			before = now
		}
		text, err = os.ReadFile(file)
		return err == nil && !os.SameFile(before, now) && bytes.Count(text, []byte("\n")) == counting["python.t%d"]
	})
	return string(text)
}

// threads are the container's processes as they see themselves, each with its
// threads' ids and names.
type threads map[string][]string

func (b *box) threads() threads {
	b.t.Helper()
	all := threads{}
	for _, line := range b.ps() {
		process, list, _ := strings.Cut(strings.TrimSuffix(line, "]"), "[")
		all[process] = strings.Fields(list)
	}
	return all
}

// lost fails if a process or a thread is not there any more, or if a process
// came. Threads may come: Go makes them when it wants.
func (before threads) lost(t *testing.T, now threads) {
	t.Helper()
	have, had := slices.Sorted(maps.Keys(now)), slices.Sorted(maps.Keys(before))
	if !slices.Equal(have, had) {
		t.Fatalf("its processes are\n%s\nand were\n%s", strings.Join(have, "\n"), strings.Join(had, "\n"))
	}
	for process, list := range before {
		for _, thread := range list {
			if !slices.Contains(now[process], thread) {
				t.Errorf("thread %s of %s is lost; there are %v", thread, process, now[process])
			}
		}
	}
}

// redis is the container's redis-server, spoken to from inside.
type redis struct {
	b      *box
	digest string // of its data, as last seen
	writes int
}

// Redis gets 100 MB.
const (
	redisKeys  = 100_000
	redisValue = 1000 // bytes
)

func (r *redis) cli(args ...string) string {
	r.b.t.Helper()
	return r.b.attach(append([]string{"redis-cli"}, args...)...)
}

// info is a field of what redis says about itself.
func (r *redis) info(name string) string {
	r.b.t.Helper()
	return field([]byte(r.cli("INFO")), name)
}

func (r *redis) await() {
	r.b.t.Helper()
	harness.Until(r.b.t, "redis", 20*time.Second, func() bool {
		got := r.b.lxc("lxc-attach", "--", "redis-cli", "PING")
		return strings.TrimSpace(got.Stdout) == "PONG"
	})
}

// fill gives redis its data: values that do not compress, and some of each of
// its other kinds.
func (r *redis) fill() {
	r.b.t.Helper()
	var commands bytes.Buffer
	random := rand.NewChaCha8([32]byte{'r', 'e', 'd', 'i', 's'})
	value := make([]byte, redisValue)
	for i := range redisKeys {
		_, _ = random.Read(value)
		fmt.Fprintf(&commands, "*3\r\n$3\r\nSET\r\n$10\r\nkey:%06d\r\n$%d\r\n%s\r\n", i, len(value), value)
	}
	for i := range 1000 {
		fmt.Fprintf(&commands, "RPUSH list %d\r\nHSET hash %d %d\r\nZADD sorted %d %d\r\nSADD set %d\r\nXADD stream %d-1 n %d\r\nSETEX expires:%d 9000 x\r\n",
			i, i, i*i, -i, i, i, i+1, i, i)
	}
	got := harness.RunWith(r.b.t, func(c *exec.Cmd) { c.Stdin = &commands },
		"lxc-attach", "-P", r.b.path, "-n", r.b.name, "--", "redis-cli", "--pipe")
	if got.Code != 0 {
		r.b.t.Fatal(got)
	}
	if used, err := strconv.Atoi(r.info("used_memory")); err != nil || used < redisKeys*redisValue {
		r.b.t.Fatalf("redis uses %d bytes (%v)", used, err)
	}
	r.digest = r.cli("DEBUG", "DIGEST")
	r.alone()
}

// check compares all of redis's data with what it was, and has redis write,
// save and read.
func (r *redis) check() {
	r.b.t.Helper()
	if now := r.cli("DEBUG", "DIGEST"); now != r.digest || len(now) != 40 {
		r.b.t.Fatalf("redis's DEBUG DIGEST is %s and was %s", now, r.digest)
	}
	r.write()
	r.save()
	if n := r.cli("GET", "writes"); n != strconv.Itoa(r.writes) {
		r.b.t.Fatalf("after write %d redis reads %s", r.writes, n)
	}
	r.alone()
}

// write changes redis's data.
func (r *redis) write() {
	r.b.t.Helper()
	r.writes++
	if n := r.cli("INCR", "writes"); n != strconv.Itoa(r.writes) {
		r.b.t.Fatalf("write %d of redis is its %s", r.writes, n)
	}
	r.digest = r.cli("DEBUG", "DIGEST")
}

// alone waits until redis has noticed that its clients are gone.
func (r *redis) alone() {
	r.b.t.Helper()
	const listen, timeWait = "0A", "06"
	table := filepath.Join("/proc", r.b.must("lxc-info", "-pH"), "net/tcp")
	harness.Until(r.b.t, "redis to close its connections", 10*time.Second, func() bool {
		text, err := os.ReadFile(table)
		if err != nil {
			r.b.t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			// sl local_address rem_address st ...
			if f := strings.Fields(line); f[0] != "sl" && f[3] != listen && f[3] != timeWait {
				return false
			}
		}
		return true
	})
}

// save has a child of redis write all of its data into a file.
func (r *redis) save() {
	r.b.t.Helper()
	before := r.saved()
	r.cli("BGSAVE")
	r.awaitSave(before)
}

// saveSoon has redis save by itself, when no client is there any more: the
// child that saves would keep the client's connection.
func (r *redis) saveSoon() {
	r.b.t.Helper()
	last, err := strconv.ParseInt(r.cli("LASTSAVE"), 10, 64)
	if err != nil {
		r.b.t.Fatal(err)
	}
	r.cli("CONFIG", "SET", "save", fmt.Sprintf("%d 1", time.Now().Unix()-last+2))
	r.alone()
}

// saving tells whether redis has written a part of its data.
func (r *redis) saving() bool {
	parts, _ := filepath.Glob(filepath.Join(r.b.rootfs, "var/lib/redis/temp-*.rdb"))
	for _, part := range parts {
		if st, err := os.Stat(part); err == nil && st.Size() > 1<<20 {
			return true
		}
	}
	return false
}

// saved is the file that redis saved into last, nil if there is none.
func (r *redis) saved() os.FileInfo {
	st, err := os.Stat(filepath.Join(r.b.rootfs, "var/lib/redis/dump.rdb"))
	if err != nil {
		return nil
	}
	return st
}

// awaitSave waits until redis has saved anew.
func (r *redis) awaitSave(before os.FileInfo) {
	r.b.t.Helper()
	var after os.FileInfo
	harness.Until(r.b.t, "redis to save", 30*time.Second, func() bool {
		after = r.saved()
		return after != nil && !os.SameFile(before, after)
	})
	harness.Until(r.b.t, "redis to notice that it has saved", 10*time.Second, func() bool { return r.info("rdb_bgsave_in_progress") == "0" })
	if status := r.info("rdb_last_bgsave_status"); status != "ok" || after.Size() < redisKeys*redisValue {
		r.b.t.Fatalf("redis has saved %d bytes and says %s", after.Size(), status)
	}
}
