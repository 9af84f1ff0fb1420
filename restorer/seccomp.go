package restorer

import (
	"bytes"
	"fmt"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/tasks"
)

// seccomp gives the tasks of a process their seccomp filters, but for those
// that they have from the stage. Where all tasks have the same, one call gives
// them to all, and they share them as they did.
func (r *restart) seccomp(p *format.Process) error {
	first, same := p.Tasks[0], true
	for _, k := range p.Tasks {
		same = same && k.SeccompMode == first.SeccompMode && k.SeccompFilter == first.SeccompFilter
	}
	for _, k := range p.Tasks {
		if k.Ended {
			continue // no filter keeps it from ending
		}
		filters, err := r.filtersToLoad(k)
		if err != nil {
			return fmt.Errorf("seccomp of task %d (%s): %w", k.Tid, k.Name, err)
		}
		t := r.tasks[k.Tid]
		switch {
		case k.SeccompMode == unix.SECCOMP_MODE_STRICT:
			err = tasks.SeccompStrict(t)
		case len(filters) > 0 && (k == first || !same):
			err = tasks.SeccompFilters(t, filters, same && len(p.Tasks) > 1)
		}
		if err != nil {
			return fmt.Errorf("seccomp of task %d (%s): %w", k.Tid, k.Name, err)
		}
	}
	return nil
}

// filtersToLoad are a task's filters without those that it has already.
func (r *restart) filtersToLoad(k *format.Task) ([]*format.SeccompFilter, error) {
	want := r.plan.Skeleton.SeccompChain(k.SeccompFilter)
	for i, have := range r.filters {
		if i >= len(want) || !bytes.Equal(want[i].Instructions, have.Instructions) || want[i].Log != have.Log {
			return nil, fmt.Errorf("whoever made the container (LXC, by lxc.seccomp.profile) has loaded filter %d of %d, and the task was not under that: restart it with the config, the profile and the libseccomp that it was checkpointed with",
				i+1, len(r.filters))
		}
	}
	return want[len(r.filters):], nil
}
