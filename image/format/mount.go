package format

// ExternalName is what the option --external calls a mount that nobody makes again.
func (m *Mount) ExternalName() string { return "mount:" + m.GetMountpoint() }
