package lxc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lxc-checkpoint/internal/need"
	"lxc-checkpoint/test/harness"
)

// TestJobControl: busybox's init, with a bash on the console that stops and
// continues jobs all the time, and a program that ends and is started again
// all the time.
func TestJobControl(t *testing.T) {
	need.Check(t, need.Program("bash"))
	b := createBusybox(t)
	harness.Must(t, "cp", "/bin/bash", filepath.Join(b.rootfs, "bin/bash"))
	harness.Must(t, "cp", "../programs/bash/jobs.sh", filepath.Join(b.rootfs, "bin/jobs"))
	write(t, filepath.Join(b.rootfs, "bin/ends"), "#!/bin/sh\necho >>/ends.log\n(sleep 0.02 &)\n")
	harness.Must(t, "chmod", "755", filepath.Join(b.rootfs, "bin/ends"), filepath.Join(b.rootfs, "bin/jobs"))
	inittab := filepath.Join(b.rootfs, "etc/inittab")
	old, err := os.ReadFile(inittab)
	if err != nil {
		t.Fatal(err)
	}
	lines := []string{"console::respawn:/bin/jobs", "::respawn:/bin/ends"}
	for line := range strings.Lines(string(old)) {
		if !strings.HasPrefix(line, "console:") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	write(t, inittab, strings.Join(lines, "\n")+"\n")
	b.start()

	content := func(file string) string {
		text, _ := os.ReadFile(filepath.Join(b.rootfs, file))
		return string(text)
	}
	goesOn := func() {
		t.Helper()
		for _, file := range []string{"jobs.progress", "ends.log"} {
			before := content(file)
			harness.Until(t, "more in "+file, time.Minute, func() bool {
				if r := content("jobs.result"); r != "" {
					t.Fatalf("the shell ended: %s", r)
				}
				return content(file) != before
			})
		}
	}
	goesOn()
	for round := range 3 {
		for range (10 + 2 - round) / 3 {
			b.checkpoint("-S", b.statefile("live"))
			goesOn()
		}
		file := b.statefile(fmt.Sprint(round))
		b.checkpoint("-k", "-S", file)
		b.restart("-S", file)
		goesOn()
	}
	write(t, filepath.Join(b.rootfs, "jobs.stop"), "")
	harness.Until(t, "the shell's answer", time.Minute, func() bool { return content("jobs.result") != "" })
	if r := strings.TrimSpace(content("jobs.result")); r != "pass" {
		t.Error(r)
	}
	t.Logf("%s rounds of jobs, init started a program %d times", strings.TrimSpace(content("jobs.progress")), len(content("ends.log")))
}
