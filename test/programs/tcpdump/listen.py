"""Two tcpdumps on the loopback interface, one with a ring of TPACKET_V3, one, in
immediate mode, of V2. Bursts of datagrams are sent, each of another length: both have
to print each of them once, in order.

Usage: listen.py"""

import os
import re
import socket
import subprocess
import sys
import threading

PORT = 4000
BURST, LENGTHS, SLOW = 40, 1000, 120


class Listener:
    def __init__(self, *options):
        command = ["tcpdump", "-i", "lo", "-n", "-l", "-s", "96", "-Z", "root", *options, "udp", "port", str(PORT)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "listening on" in line:
                break

    def expect(self, length):
        # One that hangs is ended, and its output, too.
        timer = threading.Timer(SLOW, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        timer.cancel()
        found = re.search(r"length (\d+)$", line)
        assert found and int(found[1]) == length, f"{self.process.args}: {line!r} instead of length {length}"


def tell(name, text):
    with open(name + ".new", "w") as f:
        f.write(text)
    os.rename(name + ".new", name)


def run():
    listeners = [Listener(), Listener("--immediate-mode")]
    to = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    to.bind(("127.0.0.1", PORT))
    to.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sent = 0
    while not os.path.exists("stop"):
        lengths = [(sent + i) % LENGTHS + 1 for i in range(BURST)]
        for length in lengths:
            sender.sendto(bytes(length), ("127.0.0.1", PORT))
        for length in lengths:
            assert len(to.recv(2000)) == length
            for listener in listeners:
                listener.expect(length)
        sent += BURST
        tell("progress", f"{sent} datagrams")


try:
    run()
    tell("result", "pass")
except Exception as e:
    tell("result", f"fail: {type(e).__name__}: {e}")
sys.stdout.flush()
os._exit(0)
