#!/bin/sh
# The first process of the tests' Debian container: it starts the programs and
# reaps what ends. At LXC's signal to halt it ends, and all with it.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
trap 'exit 0' PWR

# Programs write what they count here, a file for each thread.
cd /srv/counts || exit 1

start() {
	"$@" </dev/null >>/srv/log 2>&1 &
}

install -d -o redis -g redis /run/redis
start setpriv --reuid=redis --regid=redis --init-groups redis-server /srv/programs/redis.conf
start python3 -OO /srv/programs/threads.py
start /srv/programs/goroutines
start /srv/programs/threads

wait
