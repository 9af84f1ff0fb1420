#!/bin/bash
# A shell with job control on a terminal. Of its jobs one runs, one was stopped,
# one stopped itself when it wanted to read from the terminal, and one is
# continued and stopped again all the time. It counts its rounds in the file
# progress; when there is a file stop it ends its jobs and writes "pass" or what
# was wrong to the file result. What comes before the names of these files is in
# $JOBS.
#
# An interactive bash leaves its loops when a job stops. So the rounds are
# commands one by one, as if somebody typed them; whatever waits is a program of
# its own.

export JOBS=${JOBS-/jobs.}
case ${1:-} in
'') # from init
	[ ! -e ${JOBS}result ] || exec sleep 1000000 # it starts us again
	{
		echo "set -m; self=$0" # startup files are run without job control
		echo '. $self commands'
		for i in {1..20000}; do echo round; done
		echo end
	} >${JOBS}commands
	exec bash --rcfile ${JOBS}commands -i
	;;
count)
	while :; do
		echo >>${JOBS}count.$2
		sleep 0.005
	done
	;;
reached) # waits until a job has counted on
	before=$(stat -c %s ${JOBS}count.$2)
	for i in {1..2000}; do
		[ "$(stat -c %s ${JOBS}count.$2)" = "$before" ] || exit 0
		sleep 0.005
	done
	exit 1
	;;
stopped) # waits until a process is
	for i in {1..2000}; do
		read -r stat </proc/$2/stat
		case $stat in *') T '*) exit 0 ;; esac
		sleep 0.005
	done
	exit 1
	;;
foreground) # tells whether a process's group has the terminal
	read -r stat </proc/$2/stat
	stat=(${stat##*) })
	[ ${stat[2]} = ${stat[5]} ]
	exit
	;;
esac

rounds=0

answer() {
	printf %s "$1" >${JOBS}result.new
	mv ${JOBS}result.new ${JOBS}result
	exec sleep 1000000
}

round() {
	[ ! -e ${JOBS}stop ] || return # no more
	kill -TSTP %4
	$self stopped $turns || answer "round $rounds: the job does not stop"
	seen=$(jobs -p -s | sort -n | tr '\n' ' ') want=$(printf '%s\n' $halted $reads $turns | sort -n | tr '\n' ' ')
	[ "$seen" = "$want" ] || answer "round $rounds: the stopped jobs are $seen and not $want"
	[ "$(jobs -p -r)" = $running ] || answer "round $rounds: the running jobs are $(jobs -p -r) and not $running"
	[ "$(stat -c %s ${JOBS}count.2)" = $still ] || answer "round $rounds: the stopped job counted on"
	$self reached 1 || answer "round $rounds: the running job stands still"
	bg %4 >/dev/null
	$self reached 4 || answer "round $rounds: the continued job stands still"
	bash -c "$self foreground "'$$' || answer "round $rounds: a job in the foreground has not the terminal"
	(exit $((rounds % 100))) &
	wait $!
	[ $? = $((rounds % 100)) ] || answer "round $rounds: another status of a job"
	rounds=$((rounds + 1))
	echo $rounds >${JOBS}progress.new
	mv ${JOBS}progress.new ${JOBS}progress
}

ended() {
	kill -TERM %$1
	kill -CONT %$1
	wait $2
	status=$?
	[ $status = 143 ] || answer "job $1 ended with status $status"
}

end() {
	ended 1 $running
	ended 2 $halted
	ended 3 $reads
	ended 4 $turns
	answer pass
}

$self count 1 &
running=$!
$self count 2 &
halted=$!
cat &
reads=$!
$self count 4 &
turns=$!
$self reached 2
kill -STOP %2
$self stopped $halted
$self stopped $reads
still=$(stat -c %s ${JOBS}count.2)
