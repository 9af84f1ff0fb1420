#!/usr/bin/python3
# Asks a web server of this machine for its page, always over the same
# connection until that has served 500; says how often.
import http.client
import time

asked = 0
while True:
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=120)
    connection.connect()
    first = connection.sock
    for _ in range(500):
        connection.request("GET", "/")
        answer = connection.getresponse()
        page = answer.read()
        if answer.status != 200 or b"Welcome to nginx" not in page:
            raise SystemExit(f"strange page: {answer.status} {page!r}")
        if connection.sock is not first:
            raise SystemExit("the connection is another one")
        asked += 1
        print(asked, flush=True)
        time.sleep(0.02)
    connection.close()
