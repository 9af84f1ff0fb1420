package restorer

import (
	"errors"
	"fmt"
	"time"

	"lxc-checkpoint/image/format"
	"lxc-checkpoint/restorer/stub"
	"lxc-checkpoint/restorer/tasks"
)

// keyrings makes the session keyrings, as long as all tasks are root: nobody
// else may join them, or give keys away. Those that are there before they enter
// their user namespaces get theirs then, since one that has been entered may not
// see the keyring's owner, and take it along, as do the threads that they make
// there; the others get theirs when it is called again.
func (r *restart) keyrings() error {
	for _, ring := range r.plan.Skeleton.SessionKeyrings {
		for i, members := range r.byUsers(ring) {
			if err := r.keyringOf(ring, members, i); err != nil {
				return keyringError(ring, err)
			}
		}
	}
	return nil
}

// keyringOf makes one for all of its tasks in one user namespace, which has a
// number among those.
func (r *restart) keyringOf(ring *format.SessionKeyring, members []*stub.Task, users int) error {
	err := r.keyring(ring, members, ring.Name)
	// While another restart gives such a keyring to its tasks, it can be found.
	for end := time.Now().Add(time.Second); ring.Name == tasks.Anonymous && errors.Is(err, tasks.ErrKeyringName) && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
		err = r.keyring(ring, members, ring.Name)
	}
	if errors.Is(err, tasks.ErrKeyringName) {
		name := fmt.Sprintf("%s.%x.%d", ring.Name, r.plan.Skeleton.Header.ImageId+uint64(ring.Id), users)
		r.log.Warn("a session keyring gets another name", "keyring", ring.Name, "name", name, "why", err)
		err = r.keyring(ring, members, name)
	}
	if err == nil {
		// At once: the next one may have the same name.
		err = tasks.SettleKeyring(members[0], ring)
	}
	return err
}

// byUsers are the tasks that are to get a session keyring, apart by the user
// namespaces that they are in: each has the names of its own keyrings only
// (find_keyring_by_name, security/keys/keyring.c), so those of another one get a
// keyring of their own with the same keys.
func (r *restart) byUsers(ring *format.SessionKeyring) [][]*stub.Task {
	var all [][]*stub.Task
	place := map[uint32]int{}
	for _, p := range r.plan.Skeleton.Processes {
		users := r.plan.Skeleton.UserNamespaceOf(r.isIn(p.Pid))
		for _, k := range p.Tasks {
			t := r.tasks[k.Tid]
			if k.SessionKeyring != ring.Id || k.Ended || p.State == format.ProcessState_ZOMBIE || t == nil || r.keyed[k.Tid] {
				continue
			}
			r.keyed[k.Tid] = true
			if _, known := place[users]; !known {
				place[users] = len(all)
				all = append(all, nil)
			}
			all[place[users]] = append(all[place[users]], t)
		}
	}
	return all
}

// keyring makes one, by a name, for all tasks that have it.
func (r *restart) keyring(ring *format.SessionKeyring, members []*stub.Task, name string) error {
	serial, err := tasks.MakeKeyring(members[0], ring, name)
	for _, t := range members[1:] {
		if err == nil {
			err = tasks.JoinKeyring(t, name, serial)
		}
	}
	return err
}

func keyringError(ring *format.SessionKeyring, err error) error {
	return fmt.Errorf("session keyring %d (%s): %w", ring.Id, ring.Name, err)
}

// linkKeyrings links users' keyrings into those of sessions: only their own tasks
// can.
func (r *restart) linkKeyrings() error {
	for _, ring := range r.plan.Skeleton.SessionKeyrings {
		for _, uid := range ring.Users {
			linked := false
			members, users := r.members(ring)
			for i, t := range members {
				if users[i] != uid || linked {
					continue
				}
				if err := tasks.LinkKeyring(t); err != nil {
					return keyringError(ring, fmt.Errorf("link the keyring of user %d: %w", uid, err))
				}
				linked = true
			}
			if !linked {
				r.log.Warn("a session keyring leads no longer to a user's", "keyring", ring.Name, "user", uid, "why", "no task of that user is in the session")
			}
		}
	}
	return nil
}

// members are the tasks that have a session keyring, and their users.
func (r *restart) members(ring *format.SessionKeyring) (members []*stub.Task, users []uint32) {
	for _, p := range r.plan.Skeleton.Processes {
		for _, k := range p.Tasks {
			if k.SessionKeyring == ring.Id && !k.Ended && p.State != format.ProcessState_ZOMBIE {
				members, users = append(members, r.tasks[k.Tid]), append(users, k.Credentials.GetUid())
			}
		}
	}
	return members, users
}
