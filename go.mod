module lxc-checkpoint

go 1.26.0

require (
	github.com/cilium/ebpf v0.22.0
	github.com/klauspost/compress v1.18.1
	github.com/moby/sys/mountinfo v0.7.2
	github.com/spf13/pflag v1.0.10
	github.com/zeebo/xxh3 v1.0.2
	golang.org/x/sys v0.49.0
	golang.org/x/term v0.47.0
	google.golang.org/protobuf v1.36.12
)

require github.com/klauspost/cpuid/v2 v2.0.9 // indirect
