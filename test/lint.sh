#!/bin/bash
# Everything that is said about the code without running it.
# Usage: lint.sh STATICCHECK-PACKAGE@VERSION
set -euo pipefail
cd "$(dirname "$0")/.."
failed=0

say() { echo "lint: $*"; }
fail() { echo "lint: $*" >&2; failed=1; }

unformatted=$(gofmt -l .)
[ -z "$unformatted" ] || fail "not formatted (gofmt -w): $unformatted"

for arch in amd64 arm64; do
	say "go vet, $arch"
	GOARCH=$arch go vet ./... && GOARCH=$arch go vet -tags trip ./internal/trip ./restorer/... || fail "go vet has complaints ($arch)"
done

say "staticcheck, amd64 and arm64"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
GOBIN=$tools go install "$1"
for arch in amd64 arm64; do
	GOARCH=$arch "$tools/staticcheck" ./... || fail "staticcheck has complaints ($arch)"
done

say "generated code"
if command -v protoc >/dev/null; then
	test/generate.sh "$tools"
	cmp "$tools/statefile.pb.go" image/format/statefile.pb.go ||
		fail "image/format/statefile.pb.go does not come from statefile.proto: run make generate"
elif [ "${CI:-}" = true ]; then
	fail "protoc is missing"
else
	say "protoc is missing (Debian: protobuf-compiler): generated code was not compared"
fi

say "modules"
go mod verify >/dev/null || fail "a module is not what go.sum says"
if ! diff <(go mod edit -json | grep -o '"Path": "[^"]*"' | cut -d'"' -f4 | tail -n +2 | sort) \
	<(grep -o '^| `[^`]*`' docs/dependencies.md | tr -d '|` ' | sort) >&2; then
	fail "docs/dependencies.md does not list exactly the modules of go.mod"
fi

say "shell scripts"
for script in .ci/run $(find test image -name '*.sh'); do
	bash -n "$script" || fail "$script is no bash"
done

say "documents"
# Whatever of the repository a document names has to be there.
for document in README.md CONTRIBUTING.md docs/*.md image/*/*.md; do
	for path in $(grep -oE '`(cmd|container|docs|dumper|freezer|image|internal|man|progress|refusal|restorer|test|tracee)(/[A-Za-z0-9_.-]+)+/?`' "$document" | tr -d '`' | sort -u); do
		[ -e "$path" ] || fail "$document names $path, which does not exist"
	done
	for path in $(grep -oE '\]\([A-Za-z0-9_./-]+\)' "$document" | tr -d '[]()' | sort -u); do
		[ -e "$(dirname "$document")/$path" ] || fail "$document links to $path, which does not exist"
	done
done

say "coverage"
# Every row of docs/coverage.md has three cells, and what is restored or refused
# has a test that is there: a target, or a Go test.
while IFS='|' read -r _ what is test rest; do
	if [ -z "${what// /}" ] || [ -z "${is// /}" ] || [ -z "${test// /}" ] || [ -n "$rest" ]; then
		fail "docs/coverage.md has a row that is not three cells with something in each: $what"
	fi
	found=
	for name in $(grep -oE '(refused/)?[a-z][a-z0-9]*(_[a-z0-9]+)*|Test[A-Z][A-Za-z0-9]*' <<<"$test"); do
		case $name in
		Test*) grep -rq "^func $name(" --include='*_test.go' . || fail "docs/coverage.md names $name, which is no test" ;&
		*) [ ! -e "test/targets/c/$name.c" ] && [[ $name != Test* ]] || found=1 ;;
		esac
	done
	case $is in
	*restored* | *refused*)
		[[ $is == *"not restored"* ]] || [ -n "$found" ] || fail "docs/coverage.md names no test of: $what"
		;;
	esac
done < <(grep '^| ' docs/coverage.md | grep -v '^| what | is |')

go run ./test/kinds -check || fail "README.md has a stale table: go run ./test/kinds"

say "sizes"
# Each command is below 10 MB, and README.md says how big, within 0.3 MB.
for command in lxc-checkpoint lxc-restart lxc-statefile; do
	column=3
	for arch in amd64 arm64; do
		GOARCH=$arch CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$tools/$command" "./cmd/$command"
		size=$(stat -c %s "$tools/$command")
		said=$(awk -F'|' -v name=" \`$command\` " -v column=$column '$2 == name {print $column + 0}' README.md)
		[ "$size" -lt 10000000 ] || fail "$command for $arch has $size bytes, 10 MB or more"
		awk -v size="$size" -v said="${said:-0}" 'BEGIN {d = size / 1e6 - said; exit !(d > -0.3 && d < 0.3)}' ||
			fail "README.md says that $command for $arch has ${said:-0} MB, and it has $size bytes"
		column=$((column + 1))
	done
	# One call of reflect's Method, or of MethodByName with a name that the
	# compiler doesn't know, and the linker keeps every method of every type:
	# 1.2 MB.
	CGO_ENABLED=0 go build -trimpath -ldflags=-dumpdep -o "$tools/$command" "./cmd/$command" 2>"$tools/uses"
	if reflects=$(grep -m 1 -- '-> .* <ReflectMethod>' "$tools/uses"); then
		fail "$command looks up a method by reflection, so that none is left out: $reflects"
	fi
done

say "manual pages"
for command in lxc-checkpoint lxc-restart lxc-statefile; do
	for option in $(go run "./cmd/$command" --help | grep -oE '^ +(-., )?--[a-z-]+' | grep -oE '[a-z-]+$' | sed 's/^--//'); do
		grep -qE "Fl Fl $option( |\$)" "man/$command.1" || fail "man/$command.1 lacks the option --$option"
	done
done

exit $failed
