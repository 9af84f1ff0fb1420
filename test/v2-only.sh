#!/bin/bash
# Runs a command as on a host that has cgroups of v2 alone: in a mount namespace of
# its own where only that hierarchy is mounted. v1's hierarchies go on existing, and
# keep the controllers that they have: what v2 does with memory, cpu, pids and io
# can be tried on a host that boots with v2 alone only (make matrix does).
# Usage: v2-only.sh COMMAND...
set -euo pipefail
# shellcheck disable=SC2016
exec unshare --mount --propagation private bash -c '
	umount --recursive /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"' v2-only "$@"
