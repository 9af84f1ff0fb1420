package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// column is a column of a table: its head, and what it shows of a result.
type column struct {
	head string
	cell func(r *result) string
}

// report is the whole run as markdown.
func report(machine string, results []*result) string {
	return machine + "\n" +
		"### Checkpoint: `lxc-checkpoint -S FILE -k`\n\n" + table(results, checkpointColumns) + "\n" +
		"### Restart: `lxc-restart --native -S FILE`\n\n" + table(results, restartColumns) + "\n" +
		"### The bytes, beside what the machine needs for them\n\n" + table(results, byteColumns) + "\n" +
		"### The objects, beside what the machine needs for them\n\n" + table(results, objectColumns)
}

func table(results []*result, columns []column) string {
	heads, rule := []string{"container"}, []string{"---"}
	for _, c := range columns {
		heads, rule = append(heads, c.head), append(rule, "--:")
	}
	var t strings.Builder
	row := func(cells []string) { fmt.Fprintf(&t, "| %s |\n", strings.Join(cells, " | ")) }
	row(heads)
	row(rule)
	for _, r := range results {
		cells := []string{r.title}
		for _, c := range columns {
			cells = append(cells, c.cell(r))
		}
		row(cells)
	}
	return t.String()
}

// Times of the steps, as functions so that tables can name them.
func stopped(s *sample) time.Duration     { return s.dump.Stopped }
func hold(s *sample) time.Duration        { return s.dump.Hold }
func look(s *sample) time.Duration        { return s.dump.Look }
func bytesOut(s *sample) time.Duration    { return s.dump.Write + s.dump.Commit }
func pour(s *sample) time.Duration        { return s.restart.Pour }
func build(s *sample) time.Duration       { return s.restart.Build + s.restart.Finish }
func setup(s *sample) time.Duration       { return s.setup }
func ptrace(s *sample) time.Duration      { return s.limits.Ptrace }
func proc(s *sample) time.Duration        { return s.limits.Procfs }
func dumpTook(s *sample) time.Duration    { return s.dumpTook }
func restartTook(s *sample) time.Duration { return s.restartTook }

// bytesLimit is how long the bytes of a checkpoint take if the disk works while
// the cores do: each core reads and compresses, one after the other.
func bytesLimit(s *sample) time.Duration { return max(s.limits.Read+s.limits.Zstd, s.limits.Write) }

// pourLimit is the same for a restart, whose file is in memory still.
func pourLimit(s *sample) time.Duration { return s.limits.Unzstd + s.limits.Fresh }

var checkpointColumns = []column{
	{"stopped", spread(stopped)},
	{"hold", median(hold)},
	{"look", median(look)},
	{"write", median(func(s *sample) time.Duration { return s.dump.Write })},
	{"commit", median(func(s *sample) time.Duration { return s.dump.Commit })},
	{"finish", median(func(s *sample) time.Duration { return s.dump.Finish })},
	{"whole command", spread(dumpTook)},
	{"statefile", largest(func(s *sample) int64 { return s.statefile })},
	{"peak memory", largest(func(s *sample) int64 { return s.dumpPeak })},
}

var restartColumns = []column{
	{"plan", median(func(s *sample) time.Duration { return s.restart.Plan })},
	{"stage", median(func(s *sample) time.Duration { return s.restart.Stage })},
	{"build", median(func(s *sample) time.Duration { return s.restart.Build })},
	{"pour", median(pour)},
	{"finish", median(func(s *sample) time.Duration { return s.restart.Finish })},
	{"whole command", spread(restartTook)},
	{"peak memory", largest(func(s *sample) int64 { return s.restartPeak })},
}

var byteColumns = []column{
	{"memory", largest(func(s *sample) int64 { return s.limits.Bytes })},
	{"memcpy", rate(func(s *sample) time.Duration { return s.limits.Memcpy })},
	{"process_vm_readv", rate(func(s *sample) time.Duration { return s.limits.Read })},
	{"zstd", rate(func(s *sample) time.Duration { return s.limits.Zstd })},
	{"write to disk", median(func(s *sample) time.Duration { return s.limits.Write })},
	{"**write + commit**", rate(bytesOut)},
	{"× limit", ratio(bytesOut, bytesLimit)},
	{"unzstd", rate(func(s *sample) time.Duration { return s.limits.Unzstd })},
	{"fresh memory", rate(func(s *sample) time.Duration { return s.limits.Fresh })},
	{"**pour**", rate(pour)},
	{"× limit", ratio(pour, pourLimit)},
}

var objectColumns = []column{
	{"ptrace", median(ptrace)},
	{"**hold**", median(hold)},
	{"× limit", ratio(hold, ptrace)},
	{"/proc", median(proc)},
	{"**look**", median(look)},
	{"× limit", ratio(look, proc)},
	{"made by the program", median(setup)},
	{"**build + finish**", median(build)},
	{"× limit", ratio(build, setup)},
}

// of sorts what the rounds took and returns the middle one, the least and the
// most.
func of(r *result, what func(*sample) time.Duration) (mid, least, most time.Duration) {
	all := make([]time.Duration, 0, len(r.samples))
	for _, s := range r.samples {
		all = append(all, what(s))
	}
	slices.Sort(all)
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2, all[0], all[n-1]
}

func median(what func(*sample) time.Duration) func(*result) string {
	return func(r *result) string {
		mid, _, _ := of(r, what)
		return shown(mid)
	}
}

// rate is the median, and for much memory the bytes in a second.
func rate(what func(*sample) time.Duration) func(*result) string {
	return func(r *result) string {
		mid, _, _ := of(r, what)
		bytes := r.samples[0].limits.Bytes
		if bytes < 256<<20 || mid == 0 {
			return shown(mid)
		}
		return fmt.Sprintf("%s (%s GB/s)", shown(mid), digits(float64(bytes)/1e9/mid.Seconds()))
	}
}

// spread is the median with the least and the most.
func spread(what func(*sample) time.Duration) func(*result) string {
	return func(r *result) string {
		mid, least, most := of(r, what)
		return fmt.Sprintf("%s (%s – %s)", shown(mid), shown(least), shown(most))
	}
}

// ratio is how many times as long something takes as its limit.
func ratio(what, limit func(*sample) time.Duration) func(*result) string {
	return func(r *result) string {
		a, _, _ := of(r, what)
		b, _, _ := of(r, limit)
		if b == 0 {
			return "–"
		}
		return fmt.Sprintf("%.1f", float64(a)/float64(b))
	}
}

func largest(what func(*sample) int64) func(*result) string {
	return func(r *result) string {
		var n int64
		for _, s := range r.samples {
			n = max(n, what(s))
		}
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}

// shown is a time with three digits, as much as is worth reading.
func shown(d time.Duration) string {
	switch {
	case d == 0:
		return "–"
	case d < time.Millisecond:
		return fmt.Sprintf("%d µs", d.Microseconds())
	case d < time.Second:
		return digits(float64(d)/1e6) + " ms"
	}
	return digits(d.Seconds()) + " s"
}

func digits(f float64) string {
	switch {
	case f < 10:
		return fmt.Sprintf("%.2f", f)
	case f < 100:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.0f", f)
}
