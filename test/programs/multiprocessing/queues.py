"""Producers put numbers into a queue, consumers take them out and pass them on,
a pool computes, and all count under a lock. No number may be lost or doubled.

Usage: queues.py"""

import multiprocessing
import os
import threading
import zlib

PRODUCERS, CONSUMERS, POOL = 3, 2, 3


def work(n):
    return n, zlib.crc32(b"%d" % n * 2000)


def produce(number, tasks, counter):
    n = 0
    while not os.path.exists("stop"):
        tasks.put((number, n, b"x" * (n % 5000)))
        with counter.get_lock():
            counter.value += 1
        n += 1
    tasks.put((number, None, n))


def consume(tasks, results):
    while (task := tasks.get()) is not None:
        number, n, data = task
        results.put((number, n, data if n is None else len(data)))
    results.put(None)


def collect(results, total, faults):
    """Sees that of each producer every number came once."""
    ended, seen, counts, produced = 0, [set() for _ in range(PRODUCERS)], [0] * PRODUCERS, {}
    while ended < CONSUMERS:
        result = results.get()
        if result is None:
            ended += 1
            continue
        number, n, length = result
        if n is None:
            produced[number] = length
            continue
        if n in seen[number] or length != n % 5000:
            faults.append(f"number {n} of producer {number} came twice, or with {length} bytes")
        seen[number].add(n)
        total[0] += 1
    for number in range(PRODUCERS):
        if seen[number] != set(range(produced.get(number, -1))):
            faults.append(f"producer {number} made {produced.get(number)} numbers and {len(seen[number])} came")


def main():
    tasks, results = multiprocessing.Queue(100), multiprocessing.Queue()
    counter, total, faults = multiprocessing.Value("q", 0), [0], []
    producers = [multiprocessing.Process(target=produce, args=(i, tasks, counter)) for i in range(PRODUCERS)]
    consumers = [multiprocessing.Process(target=consume, args=(tasks, results)) for i in range(CONSUMERS)]
    pool = multiprocessing.Pool(POOL)
    for p in producers + consumers:
        p.start()
    collector = threading.Thread(target=collect, args=(results, total, faults))
    collector.start()
    rounds = 0
    while not os.path.exists("stop"):
        first = rounds * 60
        if pool.map(work, range(first, first + 60)) != [work(n) for n in range(first, first + 60)]:
            faults.append(f"round {rounds} of the pool is wrong")
        rounds += 1
        with open("progress.new", "w") as f:
            f.write(f"{rounds} rounds, {total[0] // 1000} thousand numbers")
        os.rename("progress.new", "progress")
    pool.close()
    pool.join()
    for p in producers:
        p.join()
    for _ in consumers:
        tasks.put(None)
    for p in consumers:
        p.join()
    collector.join()
    if any(p.exitcode for p in producers + consumers):
        faults.append(f"exit codes {[p.exitcode for p in producers + consumers]}")
    if counter.value != total[0]:
        faults.append(f"{counter.value} numbers were counted, {total[0]} came")
    with open("result.new", "w") as f:
        f.write("fail: " + "; ".join(faults[:5]) if faults else "pass")
    os.rename("result.new", "result")


main()
