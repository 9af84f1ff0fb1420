#!/bin/bash
# Generates the Go code of image/format/statefile.proto into a directory, with
# protoc and with the protoc-gen-go of the version that go.mod names.
# Usage: generate.sh DIRECTORY
set -euo pipefail
cd "$(dirname "$0")/.."

out=$(realpath "$1")
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
GOBIN=$tools CGO_ENABLED=0 go install google.golang.org/protobuf/cmd/protoc-gen-go
PATH=$tools:$PATH protoc -I image/format --go_out="$out" --go_opt=paths=source_relative statefile.proto
