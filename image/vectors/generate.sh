#!/bin/sh
# Makes the statefiles anew. Their bytes may change with the zstd encoder; what
# they hold must not.
set -e
cd "$(dirname "$0")"
for program in */main.go; do
	go run "./$(dirname "$program")" >"$(dirname "$program")/statefile"
done
