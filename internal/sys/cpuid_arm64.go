package sys

// XsaveMask is 0: arm64 has no xsave areas.
func XsaveMask() (uint64, error) { return 0, nil }

// XsaveSize is 0: arm64 has no xsave areas.
func XsaveSize() (uint32, error) { return 0, nil }

// XsaveComponents is for amd64 only.
func XsaveComponents() ([]XsaveComponent, error) { return nil, nil }
