"""A redis with three writers, over TCP and over a UNIX socket, each on the one
connection that it made. Every answer is compared with what the writer knows;
redis forks now and then to save itself.

Usage: writer.py unix tcp (over which sockets)"""

import os
import random
import socket
import subprocess
import sys
import threading
import time

PORT, WRITERS, SOCKETS = 6379, 3, sys.argv[1:]
faults, totals = [], [0] * WRITERS


class Redis:
    def __init__(self, number):
        for _ in range(600):  # it may still be starting
            try:
                if SOCKETS[number % len(SOCKETS)] == "tcp":
                    self.socket = socket.create_connection(("127.0.0.1", PORT))
                else:
                    self.socket = socket.socket(socket.AF_UNIX)
                    self.socket.connect("redis.sock")
                break
            except OSError:
                time.sleep(0.05)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))

    def receive(self):
        line = self.file.readline()
        assert line.endswith(b"\r\n"), f"redis is gone: {line}"
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            raise RuntimeError(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            if rest == b"-1":
                return None
            return self.file.read(int(rest) + 2)[:-2]
        return [self.receive() for _ in range(int(rest))]

    def ask(self, *words):
        self.send(*words)
        return self.receive()


def write(number):
    """Works on keys of its own, of which it has a copy."""
    redis, dice = Redis(number), random.Random(number)
    strings, counter, length = {}, 0, 0
    while not os.path.exists("stop"):
        keys = [f"{number}:{dice.randrange(2000)}" for _ in range(20)]
        values = [dice.randbytes(dice.randrange(1, 900)) for _ in keys]
        for key, value in zip(keys, values):
            redis.send("SET", key, value)
            redis.send("INCR", f"{number}:counter")
        for key, value in zip(keys, values):
            counter += 1
            strings[key] = value
            answers = redis.receive(), redis.receive()
            assert answers == ("OK", counter), f"writer {number}: {answers} instead of {counter}"
        length += 1
        assert redis.ask("RPUSH", f"{number}:list", counter) == length, f"writer {number}: the list is not {length} long"
        key = dice.choice(list(strings))
        assert redis.ask("GET", key) == strings[key], f"writer {number}: {key} is another"
        totals[number] = counter
    for key, value in strings.items():
        assert redis.ask("GET", key) == value, f"writer {number}: {key} is another in the end"
    assert int(redis.ask("GET", f"{number}:counter")) == counter
    assert len(redis.ask("LRANGE", f"{number}:list", 0, -1)) == length
    return redis


def writer(number):
    try:
        write(number)
    except Exception as e:
        faults.append(f"{type(e).__name__}: {e}")


def main():
    server = subprocess.Popen(["redis-server", "--port", str(PORT), "--bind", "127.0.0.1", "--unixsocket", "redis.sock", "--save", "",
                               "--appendonly", "yes", "--enable-debug-command", "yes", "--io-threads", "2", "--dir", os.getcwd()])
    threads = [threading.Thread(target=writer, args=(i,)) for i in range(WRITERS)]
    for t in threads:
        t.start()
    redis, rounds = Redis(0), 0
    while not os.path.exists("stop"):
        time.sleep(0.02)
        with open("progress.new", "w") as f:
            f.write(f"{sum(totals)} writes")
        os.rename("progress.new", "progress")
        rounds += 1
        if rounds % 100 == 0:
            try:
                redis.ask("BGSAVE")
            except RuntimeError:
                pass  # one is under way
    for t in threads:
        t.join()
    digest = redis.ask("DEBUG", "DIGEST")
    redis.ask("DEBUG", "RELOAD")
    if redis.ask("DEBUG", "DIGEST") != digest:
        faults.append("the digest is another after a reload")
    redis.ask("DEBUG", "LOADAOF")
    if redis.ask("DEBUG", "DIGEST") != digest:
        faults.append("the log of writes makes another digest")
    if min(totals) < 100:
        faults.append(f"only {totals} writes")
    server.terminate()
    if server.wait() != 0:
        faults.append(f"redis ended with {server.returncode}")
    with open("result.new", "w") as f:
        f.write("fail: " + "; ".join(faults) if faults else "pass")
    os.rename("result.new", "result")


main()
