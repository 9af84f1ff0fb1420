#!/usr/bin/python3
# Talks by ssh, through a terminal, with a shell of this machine that repeats
# what it is told; says how often it has.
import subprocess
import time

shell = "stty -echo; while read -r x; do echo got-$x; done"
ssh = subprocess.Popen(
    ["ssh", "-tt", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR", "root@127.0.0.1", shell],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
said = 0
while True:
    said += 1
    ssh.stdin.write(f"{said}\n")
    ssh.stdin.flush()
    for line in ssh.stdout:
        if line.strip() == f"got-{said}":
            break
        if said > 1:  # the first may come back before echo is off
            raise SystemExit(f"to {said} the shell said {line!r}")
    else:
        raise SystemExit("ssh has ended")
    print(said, flush=True)
    time.sleep(0.03)
