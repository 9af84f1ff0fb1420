"""An nginx with clients that keep their connections and ask for files small and
large, over TCP and over a UNIX socket. No client may see an error or have to
connect again, and nginx's log must have each request once.

Usage: clients.py unix tcp (over which sockets)"""

import http.client
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time

CLIENTS, PORT, HERE, SOCKETS = 10, 8080, os.getcwd(), sys.argv[1:]
UPSTREAM = f"127.0.0.1:{PORT}" if "tcp" in SOCKETS else f"unix:{HERE}/nginx.sock:"
CONFIG = f"""
daemon off; master_process on; worker_processes 2; pid {HERE}/nginx.pid; error_log {HERE}/error.log warn; user root;
events {{ worker_connections 200; }}
http {{
  access_log {HERE}/access.log; keepalive_requests 1000000000; keepalive_timeout 1h; sendfile on; gzip off;
  client_body_temp_path {HERE}/body; proxy_temp_path {HERE}/proxy; fastcgi_temp_path {HERE}/fcgi; uwsgi_temp_path {HERE}/uwsgi; scgi_temp_path {HERE}/scgi;
  server {{
    listen 127.0.0.1:{PORT}; listen unix:{HERE}/nginx.sock;
    root {HERE}/files;
    location /proxy/ {{ proxy_pass http://{UPSTREAM}/; proxy_buffering off; }}
  }}
}}
"""
SIZES = [10, 3000, 100_000, 1_500_000]
faults, counts = [], [0] * CLIENTS


class Connection(http.client.HTTPConnection):
    def __init__(self, number):
        super().__init__("127.0.0.1", PORT)
        self.number, self.connections = number, 0

    def connect(self):
        self.connections += 1
        if SOCKETS[self.number % len(SOCKETS)] == "unix":
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect("nginx.sock")
        else:
            super().connect()


def client(number):
    try:
        dice, connection = random.Random(number), Connection(number)
        while not os.path.exists("stop"):
            size = dice.choices(SIZES, [10, 10, 3, 1])[0]
            connection.request("GET", f"/{'proxy/' if dice.randrange(4) == 0 else ''}{size}?client={number}")
            answer = connection.getresponse()
            data = answer.read()
            assert answer.status == 200 and data == content(size), f"client {number}: {answer.status}, {len(data)} bytes instead of {size}"
            counts[number] += 1
        assert connection.connections == 1, f"client {number} connected {connection.connections} times"
    except Exception as e:
        faults.append(f"client {number}: {type(e).__name__}: {e}")


def content(size):
    return (b"%d " % size * (size // 2 + 1))[:size]


def main():
    os.mkdir("files")
    for size in SIZES:
        with open(f"files/{size}", "wb") as f:
            f.write(content(size))
    with open("nginx.conf", "w") as f:
        f.write(CONFIG)
    server = subprocess.Popen(["nginx", "-p", HERE, "-e", "error.log", "-c", f"{HERE}/nginx.conf"])
    while not os.path.exists("nginx.sock"):
        time.sleep(0.02)
    threads = [threading.Thread(target=client, args=(i,)) for i in range(CLIENTS)]
    for t in threads:
        t.start()
    while not os.path.exists("stop") and not faults:
        time.sleep(0.02)
        with open("progress.new", "w") as f:
            f.write(f"{sum(counts)} requests")
        os.rename("progress.new", "progress")
    for t in threads:
        t.join()
    server.send_signal(3)  # QUIT: it ends when all is answered
    if server.wait() != 0:
        faults.append(f"nginx ended with {server.returncode}")
    with open("access.log") as f:
        logged = [0] * CLIENTS
        for line in f:
            if "/proxy/" in line or "HTTP/1.1" in line:
                logged[int(re.search(r"client=(\d+)", line)[1])] += 1
    if logged != counts:
        faults.append(f"{logged} requests are in the log, {counts} were made")
    with open("error.log") as f:
        faults.extend(list(f)[:2])
    if min(counts) < 10:
        faults.append(f"only {counts} requests")
    with open("result.new", "w") as f:
        f.write("fail: " + "; ".join(faults) if faults else "pass")
    os.rename("result.new", "result")


main()
