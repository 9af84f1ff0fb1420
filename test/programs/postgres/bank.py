"""A PostgreSQL with 20 clients in transactions: half of them over TCP, half over
a UNIX socket, each on the one connection that it made (pgbench). No client may
see an error, and the books must balance.

Usage: bank.py BINARIES unix tcp: the directory of postgres, initdb, pgbench, and
over which sockets; not as root, which postgres refuses"""

import os
import re
import subprocess
import sys
import time

BINARIES, HERE = sys.argv[1], os.getcwd()
HOSTS = [{"unix": HERE, "tcp": "127.0.0.1"}[s] for s in sys.argv[2:]]
SCALE, CLIENTS = 2, 20


def command(name, *words, **more):
    return subprocess.run([os.path.join(BINARIES, name), *words], text=True, capture_output=True, **more)


def must(name, *words):
    done = command(name, *words)
    assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
    return done.stdout


def ask(sql):
    return must("psql", "-h", HERE, "-At", "-c", sql, "postgres").strip()


def main():
    must("initdb", "-D", "data", "-A", "trust", "--no-sync", "-U", "postgres")
    os.environ["PGUSER"] = "postgres"
    with open("server.log", "w") as log:
        server = subprocess.Popen([os.path.join(BINARIES, "postgres"), "-D", "data", "-k", HERE, "-h", "127.0.0.1",
                                   "-c", "shared_buffers=16MB", "-c", "autovacuum_naptime=1s", "-c", "checkpoint_timeout=30s",
                                   "-c", "fsync=off", "-c", "huge_pages=off", "-c", "max_wal_size=64MB"], stdout=log, stderr=log)
    while command("pg_isready", "-h", HERE).returncode != 0:
        time.sleep(0.05)
    must("pgbench", "-h", HERE, "-i", "-q", "-s", str(SCALE), "postgres")
    clients = []
    for host in HOSTS:
        clients.append(subprocess.Popen([os.path.join(BINARIES, "pgbench"), "-n", "-h", host, "-c", str(CLIENTS // len(HOSTS)), "-T", "1000000", "postgres"],
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    faults = []
    while not os.path.exists("stop") and not faults:
        time.sleep(0.05)
        with open("progress.new", "w") as f:
            f.write(ask("SELECT count(*) FROM pgbench_history") + " transactions")
        os.rename("progress.new", "progress")
        faults += [f"a client ended: {c.communicate()[0]}" for c in clients if c.poll() is not None]
    if int(ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'")) != CLIENTS:
        faults.append("there are not as many connections as there were")
    with open("server.log") as log:
        faults += [line for line in log if re.search("ERROR|PANIC|FATAL|terminated by signal|could not", line) and "starting up" not in line][:3]
    for c in clients:
        c.terminate()
        c.wait()
    while ask("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'") != "0":
        time.sleep(0.05)
    sums = ask("SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(bbalance) FROM pgbench_branches),"
               "(SELECT sum(tbalance) FROM pgbench_tellers), (SELECT sum(delta) FROM pgbench_history)").split("|")
    if len(set(sums)) != 1:
        faults.append(f"the books do not balance: {sums}")
    must("psql", "-h", HERE, "-c", "CREATE EXTENSION amcheck", "postgres")
    ask("SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname LIKE 'pgbench%'")
    server.terminate()
    if server.wait() != 0:
        faults.append(f"postgres ended with {server.returncode}")
    with open("result.new", "w") as f:
        f.write("fail: " + "; ".join(faults) if faults else "pass")
    os.rename("result.new", "result")


main()
