#!/bin/bash
# Installs what a make target needs of Debian's packages, quietly, and nothing
# if it is all there. Usage: install-needs.sh test|lint|matrix
set -euo pipefail

case ${1:-} in
test) packages='iproute2 nftables iptables ipset acl attr conntrack lxc lxc-templates busybox-static iproute2 rsync gdb gcc libc6-dev zstd debootstrap ca-certificates procps make python3 redis-server nodejs default-jdk-headless nginx-light postgresql openssh-client openssl tcpdump wget runc' ;;
lint) packages='protobuf-compiler' ;;
matrix) packages='qemu-system-x86 qemu-system-arm xz-utils gcc libc6-dev gcc-aarch64-linux-gnu libc6-dev-arm64-cross ca-certificates' ;;
*) echo "usage: $0 test|lint|matrix" >&2; exit 2 ;;
esac

# What builds 32-bit programs (amd64). gcc-multilib would remove the compiler for
# arm64, with which it is in conflict; what it depends on is not.
if [ "$1" != lint ]; then
	packages+=$(apt-cache depends gcc 2>/dev/null | sed -n 's/^ *Depends: \(gcc-[0-9]*\)$/ \1-multilib/p' || true)
fi

missing=
for package in $packages; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=" $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "$0: missing Debian packages:$missing" >&2
	echo "$0: root on Debian can install them; what needs them is skipped, or fails in CI" >&2
	exit 0
fi

# Packages that bring a service (LXC's bridge) must not start it here.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
	trap 'rm -f $policy' EXIT
	printf '#!/bin/sh\nexit 101\n' >$policy
	chmod 755 $policy
fi
log=$(mktemp)
echo "installing Debian packages:$missing"
# shellcheck disable=SC2086
if ! { apt-get update && apt-get install -y --no-install-recommends $missing; } >"$log" 2>&1 </dev/null; then
	cat "$log" >&2
	rm -f "$log"
	echo "$0: apt-get could not install:$missing" >&2
	exit 1
fi
rm -f "$log"
