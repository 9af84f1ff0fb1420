package tasks

import "testing"

// TestLabelOrder: what a task writes to get where it was.
func TestLabelOrder(t *testing.T) {
	for label, want := range map[string]string{
		"unconfined":                                "changeprofile unconfined",
		"lxc-container-default-cgns (enforce)":      "changeprofile lxc-container-default-cgns",
		"/usr/sbin/named (complain)":                "changeprofile /usr/sbin/named",
		"system_u:system_r:container_t:s0:c178,c56": "system_u:system_r:container_t:s0:c178,c56",
	} {
		if have := labelOrder(label); have != want {
			t.Errorf("label %q: %q instead of %q", label, have, want)
		}
	}
}
