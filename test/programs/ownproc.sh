#!/bin/sh
# The first process of a container whose programs look themselves up in /proc:
# mounts one that has their numbers, then does what init.sh does.
busybox mount --make-rprivate / && busybox mount -t proc proc /proc || exit
exec "${0%/*}/init.sh" "$@"
