"""Threads that count, check themselves and write down what they are.

Each thread writes 1, 2, 3 ... into the file python.NAME, a line each. The file
python.identities has a line for each thread, written anew all the time: its
name, its native id, Python's id for it. What a thread finds wrong goes into
the file python.wrong.
"""

import itertools
import os
import queue
import select
import threading
import time

TICK = 0.02
local = threading.local()
lock = threading.Lock()
total = 0  # of all threads' counts, under the lock


def wrong(text):
    with open("python.wrong", "a") as out:
        print(text, file=out)


def naps():
    """The ways to wait for a moment; threads use them in turn."""
    nothing = queue.Queue()
    never = threading.Event()
    condition = threading.Condition()
    reader, _ = os.pipe()

    def queued():
        try:
            nothing.get(timeout=TICK)
        except queue.Empty:
            pass

    def notified():
        with condition:
            condition.wait(TICK)

    return [
        lambda: time.sleep(TICK),
        lambda: never.wait(TICK),
        lambda: select.select([reader], [], [], TICK),
        queued,
        notified,
    ]


class Counter(threading.Thread):
    def __init__(self, name, nap):
        super().__init__(name=name)
        self.nap = nap
        self.count = 0

    def identity(self):
        return self.name, threading.get_native_id(), threading.get_ident()

    def run(self):
        global total
        self.was = self.identity()
        local.count = 0
        with open("python." + self.name, "w", buffering=1) as out:
            for n in itertools.count(1):
                self.check(n)
                self.count = local.count = n
                with lock:
                    total += 1
                print(n, file=out)
                self.nap()

    def check(self, n):
        now = self.identity()
        if now != self.was or threading.current_thread() is not self:
            wrong(f"thread {self.was} is {now}")
        if not n - 1 == self.count == local.count:
            wrong(f"{self.name} counts {n} after {self.count} and {local.count}")


def main():
    ways = naps()
    threads = [Counter(f"t{i}", ways[i % len(ways)]) for i in range(10)]
    for t in threads:
        t.start()
    while True:
        time.sleep(TICK)
        with open("python.new", "w") as out:
            for t in threads:
                print(t.name, t.native_id, t.ident, file=out)
        os.rename("python.new", "python.identities")
        if not all(t.is_alive() for t in threads):
            wrong("a thread has ended")
        with lock:
            least = total
        if sum(t.count for t in threads) < least:
            wrong(f"the threads counted less than {least}")


main()
