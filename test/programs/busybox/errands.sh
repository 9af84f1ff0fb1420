#!/bin/sh
# What a shell of busybox has applets do all the time: fetch a file from a server,
# pass it through a pipeline, take a signal, wait for a child. It counts its
# rounds in the file progress; when there is a file stop it writes "pass" or what
# was wrong to the file result.
caught=0 rounds=0
trap 'caught=$((caught + 1))' USR1

answer() {
	kill $server
	printf %s "$1" >result.new
	mv result.new result
	exit
}

mkdir www
seq 1 2000 >www/numbers
busybox httpd -f -p 127.0.0.1:8080 -h www &
server=$!
tries=0
until wget -q -O /dev/null http://127.0.0.1:8080/numbers; do
	tries=$((tries + 1))
	[ $tries -lt 100 ] || answer "fail: httpd does not answer"
	sleep 0.1
done
while [ ! -e stop ]; do
	sum=$(wget -q -O - http://127.0.0.1:8080/numbers | sort -n | awk '{s += $1} END {print s}')
	[ "$sum" = 2001000 ] || answer "fail: round $rounds: the numbers make $sum"
	kill -USR1 $$
	(exit $((rounds % 100))) &
	wait $!
	status=$?
	[ $status = $((rounds % 100)) ] || answer "fail: round $rounds: a child ended with $status"
	rounds=$((rounds + 1))
	[ $caught = $rounds ] || answer "fail: round $rounds: $caught signals"
	echo $rounds >progress.new
	mv progress.new progress
done
answer pass
