"""Two processes move money between accounts, a transaction each time, and a
third reads meanwhile. No transaction may be lost, doubled, or seen by halves.

Usage: ledger.py wal|delete (the kind of journal)"""

import multiprocessing
import os
import random
import sqlite3
import sys
import time

ACCOUNTS = 50


def connect():
    db = sqlite3.connect("ledger.db", timeout=60, isolation_level=None)
    db.execute("PRAGMA synchronous=NORMAL")
    return db


def write(number):
    """Each transaction notes itself, with the next number of this writer."""
    db, n, dice = connect(), 0, random.Random(number)
    while not os.path.exists("stop"):
        a, b, amount = dice.randrange(ACCOUNTS), dice.randrange(ACCOUNTS), dice.randrange(1000)
        db.execute("BEGIN IMMEDIATE")
        db.execute("UPDATE account SET balance = balance - ? WHERE id = ?", (amount, a))
        db.execute("UPDATE account SET balance = balance + ? WHERE id = ?", (amount, b))
        db.execute("INSERT INTO ledger VALUES (?, ?, ?, ?, ?, zeroblob(?))", (number, n, a, b, amount, dice.randrange(3000)))
        db.execute("COMMIT")
        n += 1
    with open(f"written.{number}", "w") as f:
        f.write(str(n))


def read():
    db = connect()
    while not os.path.exists("stop"):
        db.execute("BEGIN")
        (total,) = db.execute("SELECT sum(balance) FROM account").fetchone()
        rows, most = db.execute("SELECT count(*), sum(last) FROM (SELECT max(n) + 1 AS last FROM ledger GROUP BY writer)").fetchone()
        (count,) = db.execute("SELECT count(*) FROM ledger").fetchone()
        db.execute("COMMIT")
        assert total == 0, f"the balances' sum is {total}"
        assert count == (most or 0), f"{count} transactions of {most} are there"
        with open("progress.new", "w") as f:
            f.write(str(count))
        os.rename("progress.new", "progress")
        time.sleep(0.02)


def judge(workers):
    for w in workers:
        if w.exitcode != 0:
            return f"fail: {w.name} ended with {w.exitcode}"
    db = connect()
    answer = db.execute("PRAGMA integrity_check").fetchall()
    if answer != [("ok",)]:
        return f"fail: integrity_check: {answer}"
    for number in (1, 2):
        with open(f"written.{number}") as f:
            n = int(f.read())
        found = db.execute("SELECT count(*), min(n), max(n) FROM ledger WHERE writer = ?", (number,)).fetchone()
        if found != (n, 0, n - 1):
            return f"fail: writer {number} made {n} transactions and the ledger has {found}"
    for account, balance in db.execute("SELECT id, balance FROM account").fetchall():
        (want,) = db.execute("SELECT (SELECT coalesce(sum(amount), 0) FROM ledger WHERE b = :a) - (SELECT coalesce(sum(amount), 0) FROM ledger WHERE a = :a)", {"a": account}).fetchone()
        if balance != want:
            return f"fail: account {account} has {balance} and should have {want}"
    return "pass"


def main():
    db = connect()
    db.execute(f"PRAGMA journal_mode={sys.argv[1]}")
    db.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER)")
    db.execute("CREATE TABLE ledger (writer, n, a, b, amount, ballast, PRIMARY KEY (writer, n))")
    db.executemany("INSERT INTO account VALUES (?, 0)", [(i,) for i in range(ACCOUNTS)])
    db.close()
    workers = [multiprocessing.Process(target=write, args=(n,), name=f"writer {n}") for n in (1, 2)]
    workers.append(multiprocessing.Process(target=read, name="reader"))
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    result = judge(workers)
    with open("result.new", "w") as f:
        f.write(result)
    os.rename("result.new", "result")


main()
