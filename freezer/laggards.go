package freezer

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// laggards names up to three tasks of the cgroup that have not stopped, as
// the end of a sentence: " because of process 12 (cc1)…"; "" if none is found.
// It is for messages only: tasks come and go while it looks.
func laggards(dir string, version int) string {
	wchan := "__refrigerator" // kernel/freezer.c
	if version == 2 {
		wchan = "do_freezer_trap" // kernel/signal.c
	}
	var names []string
	more := false
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil
		}
		pids, _ := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		for pid := range strings.FieldsSeq(string(pids)) {
			tasks, _ := os.ReadDir("/proc/" + pid + "/task")
			for _, t := range tasks {
				proc := "/proc/" + pid + "/task/" + t.Name()
				where, err := readWord(proc + "/wchan")
				if err != nil || where == wchan {
					continue
				}
				if len(names) == 3 {
					more = true
					return fs.SkipAll
				}
				comm, _ := readWord(proc + "/comm")
				name := fmt.Sprintf("task %s (%s)", t.Name(), comm)
				if where != "" && where != "0" {
					name += ", which sleeps in " + where
				}
				names = append(names, name)
			}
		}
		return nil
	})
	if len(names) == 0 {
		return ""
	}
	if more {
		names = append(names, "and others")
	}
	return " because of " + strings.Join(names, "; ")
}
