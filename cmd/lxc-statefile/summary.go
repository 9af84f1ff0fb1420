package main

// Summary is what show tells: as a tree, or as JSON of exactly this shape.
// JSON.md explains it. Fields may be added; none is renamed, removed or changed
// in meaning without a new Shape.
type Summary struct {
	Shape      int         `json:"shape"` // of this object: 1
	Header     Header      `json:"header"`
	Container  Container   `json:"container"`
	Namespaces []Namespace `json:"namespaces"`
	Processes  []Process   `json:"processes"`
	Memory     []Memory    `json:"memory"` // of all, by kind; what is shared counts once
	Statefile  Statefile   `json:"statefile"`
}

// Header is what the statefile says of itself.
type Header struct {
	Version       uint32 `json:"version"`
	ImageID       string `json:"image_id"` // 16 hexadecimal digits
	Architecture  string `json:"architecture"`
	KernelRelease string `json:"kernel_release"`
	PageSize      uint32 `json:"page_size"`
	ToolVersion   string `json:"tool_version"`
	Time          string `json:"time"` // RFC 3339, UTC
}

// Container is what was checkpointed.
type Container struct {
	Name      string `json:"name"`
	LXCPath   string `json:"lxcpath"`
	Rootfs    string `json:"rootfs"`
	RootPID   uint32 `json:"root_pid"`
	WasFrozen bool   `json:"was_frozen"`
}

// Namespace is one that the container is in.
type Namespace struct {
	Kind     string `json:"kind"` // as in /proc/PID/ns
	Own      bool   `json:"own"`
	Inode    uint64 `json:"inode"`
	Hostname string `json:"hostname,omitempty"` // uts
}

// Process is one of the container's.
type Process struct {
	PID         uint32       `json:"pid"`
	Parent      uint32       `json:"parent"`
	Group       uint32       `json:"group"`
	Session     uint32       `json:"session"`
	Name        string       `json:"name"`
	CommandLine string       `json:"command_line"`
	Executable  string       `json:"executable"`
	State       string       `json:"state"` // running, stopped, zombie
	Threads     []Thread     `json:"threads"`
	SharesWith  uint32       `json:"shares_memory_with,omitempty"`
	Memory      []Memory     `json:"memory"`
	Descriptors []Descriptor `json:"descriptors"`
}

// Thread is a task of a process.
type Thread struct {
	TID        uint32 `json:"tid"`
	Name       string `json:"name"`
	SystemCall string `json:"system_call,omitempty"` // in flight
	Ended      bool   `json:"ended,omitempty"`       // the first thread, while others go on
}

// Memory is a kind of memory.
type Memory struct {
	Kind       string `json:"kind"`
	Mappings   int    `json:"mappings"`
	Size       uint64 `json:"size"`       // bytes of address space
	Stored     uint64 `json:"stored"`     // bytes of it in the statefile
	Compressed uint64 `json:"compressed"` // what they take there
}

// Descriptor is an open descriptor.
type Descriptor struct {
	Number      uint32 `json:"number"`
	OpenFile    uint32 `json:"open_file"` // equal where dup(2), fork(2) or CLONE_FILES shares it
	Kind        string `json:"kind"`
	Name        string `json:"name"`
	Access      string `json:"access"` // r, w, rw, path
	Position    int64  `json:"position"`
	CloseOnExec bool   `json:"close_on_exec"`
	// Those of the open file, and the record locks that the process holds by
	// this descriptor.
	Locks []string `json:"locks"`
}

// Statefile is the file's own size.
type Statefile struct {
	Frames   int   `json:"frames"`   // of records
	Bytes    int64 `json:"bytes"`    // compressed, without the trailer
	Skeleton int64 `json:"skeleton"` // of them, all that is not memory
}
