package format

import "fmt"

// Kinds and flags of marks (include/uapi/linux/fanotify.h).
const (
	FanMarkMount      = 0x10
	FanMarkFilesystem = 0x100

	FanMarkSurvives  = 0x40  // FAN_MARK_IGNORED_SURV_MODIFY
	FanMarkEvictable = 0x200 // Linux 5.19
	FanMarkIgnore    = 0x400 // Linux 6.0

	// FanClasses are the bits of FAN_CLASS_CONTENT and FAN_CLASS_PRE_CONTENT.
	FanClasses = 0xc
)

func (c *checker) fanotify(f *Fanotify, who func() string) error {
	if f.GetFlags()&FanClasses != 0 {
		return fmt.Errorf("%s is asked for permissions, flags %#x", who(), f.GetFlags())
	}
	for _, m := range f.GetMarks() {
		if m.Flags&^(FanMarkSurvives|FanMarkEvictable|FanMarkIgnore) != 0 || m.Mask|m.Ignored == 0 {
			return fmt.Errorf("%s has a mark with flags %#x and masks %#x, %#x", who(), m.Flags, m.Mask, m.Ignored)
		}
		switch {
		case m.Kind == 0:
			if err := c.file(m.File, who); err != nil {
				return err
			}
		case m.Kind != FanMarkMount && m.Kind != FanMarkFilesystem:
			return fmt.Errorf("%s has a mark of kind %#x", who(), m.Kind)
		case badPath(m.Mountpoint):
			return fmt.Errorf("%s has a mark at %.80q", who(), m.Mountpoint)
		default:
			if err := c.mountNamespace(m.MountNamespace, who); err != nil {
				return err
			}
		}
	}
	return nil
}
