package faults
import ("testing";"os";"fmt";"time";"os/exec";"math/rand/v2";"path/filepath";"strings")
func TestExp(t *testing.T) {
	for name, h := range hierarchies(t) {
	t.Run(name, func(t *testing.T) {
		b := newBox(t, h, "ring", 4)
		s := &strikes{box: b, tally: map[string]int{}}
		for i := range 100 {
			a := &attempt{way: ways[0], ended: make(chan struct{})}
			log := filepath.Join(t.TempDir(), "log")
			a.cmd = exec.Command("/work/main/bin/lxc-checkpoint", b.args("-S", b.statefile(), "-o", log, "-l", "TRACE")...)
			a.cmd.Start()
			go func(){ a.cmd.Wait(); close(a.ended)}()
			s.spin(a, func() bool { return status(b.pids[0],"TracerPid")!="0" || s.cgroup.Frozen() })
			time.Sleep(rand.N(20*time.Millisecond))
			pids := descendants(a.cmd.Process.Pid)
			st := time.Now()
			a.cmd.Process.Kill()
			<-a.ended
			e1 := time.Since(st)
			for !allGone(pids) { 
				time.Sleep(time.Millisecond)
				if time.Since(st) > 300*time.Millisecond && time.Since(st) < 302*time.Millisecond {
					x, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pids[0]))
					for _, x := range x { a,_ := os.ReadFile(x+"/wchan"); c,_ := os.ReadFile(x+"/syscall"); d,_ := os.ReadFile(x+"/stat"); fmt.Println(string(a), strings.TrimSpace(string(c)), string(d)[:30]) }
					fmt.Println(b.conditions())
				}
			}
			e2 := time.Since(st)
			os.Remove(b.statefile())
			text, _ := os.ReadFile(log)
			if e2 > 100*time.Millisecond { fmt.Println(i, e1, e2, len(pids), st.UTC(), string(text)) }
			if fmt.Sprint(b.now()) != fmt.Sprint(b.pids) || !b.runs() {
				fmt.Println(i, b.now(), b.pids, b.conditions(), b.result(), string(text))
				t.Errorf("broken after %d rounds", i); return 
			}
		}
	})}
}
