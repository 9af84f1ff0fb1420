package procfs

import "fmt"

// KernelVersion reads the first two numbers of this kernel's release.
func KernelVersion() (major, minor int, err error) {
	text, err := ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return 0, 0, err
	}
	return ParseKernelVersion(string(text))
}

// ParseKernelVersion parses a release such as "6.1.0-18-amd64".
func ParseKernelVersion(release string) (major, minor int, err error) {
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil || major < 0 || minor < 0 {
		return 0, 0, fmt.Errorf("a kernel's release is %q", release)
	}
	return major, minor, nil
}
