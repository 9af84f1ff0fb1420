package format

// The Go code of the messages comes from protoc 3.21 or later and from the
// protoc-gen-go of the protobuf module that go.mod names (1.36.10).
//go:generate ../../test/generate.sh .
