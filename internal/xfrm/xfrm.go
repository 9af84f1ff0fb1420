// Package xfrm says what of the messages of IPsec (ip-xfrm(8), NETLINK_XFRM)
// belongs into an image: the policies of a network namespace. Associations, with
// their keys and the numbers of their packets, do not.
package xfrm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"lxc-checkpoint/internal/netlink"
)

// Of include/uapi/linux/xfrm.h.
const (
	newSA, getSA         = 0x10, 0x12
	newPolicy, getPolicy = 0x13, 0x15

	sizeofPolicy = 168 // struct xfrm_userpolicy_info
	lifetimeAt   = 120 // curlft: what it has seen
	priorityAt   = 152
	directionAt  = 160
	forward      = 2 // XFRM_POLICY_FWD, the last direction; those above are of sockets
	maxPolicy    = 64 << 10
)

// keep are XFRMA_TMPL, POLICY_TYPE, MARK, IF_ID.
var keep = []uint16{5, 16, 21, 31}

// List asks for the policies of the thread's network namespace, and counts the
// associations there.
func List() (policies [][]byte, associations int, err error) {
	c, err := netlink.Open(unix.NETLINK_XFRM)
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, 0, nil // a kernel without it
	}
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	all, err := c.Dump(getPolicy, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("list the policies of IPsec: %w", err)
	}
	for _, m := range all {
		if m.Type != newPolicy {
			continue
		}
		body, ok, err := kept(m.Body)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			policies = append(policies, body)
		}
	}
	if all, err = c.Dump(getSA, nil); err != nil {
		return nil, 0, fmt.Errorf("list the associations of IPsec: %w", err)
	}
	for _, m := range all {
		if m.Type == newSA {
			associations++
		}
	}
	return policies, associations, nil
}

func kept(told []byte) ([]byte, bool, error) {
	if len(told) < sizeofPolicy {
		return nil, false, errors.New("a short message about a policy of IPsec")
	}
	body := slices.Clone(told[:sizeofPolicy])
	if body[directionAt] > forward {
		return nil, false, nil
	}
	clear(body[lifetimeAt:priorityAt])
	all, err := netlink.Parse(told[sizeofPolicy:])
	if err != nil {
		return nil, false, err
	}
	for _, a := range all {
		if slices.Contains(keep, a.Type) {
			body = netlink.Append(body, a)
		}
	}
	return body, true, nil
}

// Check says whether a policy of an image is one that List could have told.
func Check(body []byte) error {
	if len(body) < sizeofPolicy || len(body) > maxPolicy || body[directionAt] > forward {
		return fmt.Errorf("a policy of IPsec of %d bytes, or of a direction that can't be", len(body))
	}
	all, err := netlink.Parse(body[sizeofPolicy:])
	if err != nil {
		return fmt.Errorf("a policy of IPsec: %w", err)
	}
	for _, a := range all {
		if !slices.Contains(keep, a.Type) {
			return fmt.Errorf("a policy of IPsec with attribute %d, which this version does not know", a.Type)
		}
	}
	return nil
}

// Load makes policies in the thread's network namespace, with the numbers that they
// had.
func Load(policies [][]byte) error {
	if len(policies) == 0 {
		return nil
	}
	c, err := netlink.Open(unix.NETLINK_XFRM)
	if err != nil {
		return fmt.Errorf("this kernel lacks IPsec (CONFIG_XFRM_USER): %w", err)
	}
	defer c.Close()
	for _, p := range slices.Backward(policies) { // the newest comes first in a listing
		if err := c.Do(newPolicy, unix.NLM_F_CREATE|unix.NLM_F_EXCL, p); err != nil {
			return fmt.Errorf("make policy %d of IPsec: %w", binary.NativeEndian.Uint32(p[priorityAt+4:]), err)
		}
	}
	return nil
}
