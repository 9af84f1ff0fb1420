package format

import (
	"fmt"
	"strings"
)

const (
	// MaxKey is how many bytes a key of type "user" may have (user_preparse,
	// security/keys/user_defined.c), and one more than any has.
	MaxKey = 32767
	// maxKeyName is one more than what a description has at most
	// (KEY_MAX_DESC_SIZE).
	maxKeyName = 4096
	// keyPermissions are the bits of a key's permissions (KEY_POS_ALL, KEY_USR_ALL …).
	keyPermissions = 0x3f3f3f3f
)

// keyrings checks session keyrings and what is in them.
func (c *checker) keyrings() error {
	for _, r := range c.SessionKeyrings {
		if !keyName(r.Name) || strings.HasPrefix(r.Name, ".") || r.Permissions&^keyPermissions != 0 {
			return fmt.Errorf("session keyring %d has a name or permissions that can't be", r.Id)
		}
		for _, k := range r.Keys {
			if !keyName(k.Name) || len(k.Payload) == 0 || len(k.Payload) > MaxKey || k.Permissions&^keyPermissions != 0 {
				return fmt.Errorf("session keyring %d holds a key that can't be", r.Id)
			}
		}
	}
	return nil
}

func keyName(name string) bool {
	return name != "" && len(name) < maxKeyName && !strings.Contains(name, "\x00")
}
