package restorer

import (
	"fmt"
)

// pour moves the bytes from the image to their owners and checks the image to
// its end.
func (r *restart) pour() (int64, error) {
	err := r.read(func(take func(uint32, uint64, []byte) error) error {
		return r.img.Contents(r.ctx, r.opts.Workers, take)
	})
	return r.poured.Load(), err
}

// pourInherited gives a process the pages that those have in common that it will
// fork. What of them is not verified yet, nothing has run on.
func (r *restart) pourInherited(p *Pour) error {
	page := uint64(r.plan.Skeleton.Header.PageSize)
	if err := r.backing.Prepare(r.leaders[p.By], p.Pages, page, p.Unmap, p.Map); err != nil {
		return fmt.Errorf("make place for what process %d hands on to its children: %w", p.By, err)
	}
	return r.read(func(take func(uint32, uint64, []byte) error) error {
		id, err := r.img.Inherited(r.ctx, r.opts.Workers, take)
		if err == nil && id != p.Pages.Id {
			err = fmt.Errorf("the statefile has the inherited pages %d where %d are needed", id, p.Pages.Id)
		}
		return err
	})
}

// read reads bytes in a goroutine of its own: ours is bound to its thread, and
// to hand a frame to a worker from here would cost two switches of threads.
func (r *restart) read(from func(take func(owner uint32, offset uint64, data []byte) error) error) error {
	done := make(chan error)
	go func() {
		done <- from(func(owner uint32, offset uint64, data []byte) error {
			r.poured.Add(int64(len(data)))
			if r.opts.Progress != nil {
				r.opts.Progress.Add(int64(len(data)))
			}
			if done, err := r.space.Pour(owner, offset, data); done {
				return err
			}
			if done, err := r.files.Pour(owner, offset, data); done {
				return err
			}
			return r.backing.Pour(owner, offset, data)
		})
	}()
	return <-done
}

// setTotal tells the progress how much there is to pour.
func (r *restart) setTotal() {
	if r.opts.Progress == nil {
		return
	}
	var total uint64
	for _, c := range r.plan.Skeleton.Layout.GetContents() {
		total += c.Estimate
	}
	r.opts.Progress.SetTotal(int64(total))
}
