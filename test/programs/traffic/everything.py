"""One of each kind of descriptor that carries something, from one process to
another, with traffic over all of them: numbers, one after the other. None may be
missing, come twice, or come out of order, however often it is looked at.

Protocol: see programs_test.go."""

import array
import ctypes
import mmap
import os
import select
import signal
import socket
import struct
import sys
import threading
import time
import tty

libc = ctypes.CDLL(None, use_errno=True)
SIZE = 8
shared = mmap.mmap(-1, 1 << 16)  # stop flag, then of each channel: sent, received
names, faults = [], []
REALTIME = signal.SIGRTMIN + 3


def counter(index, kind):
    return 64 + 16 * index + 8 * kind


def get(at):
    return struct.unpack_from("q", shared, at)[0]


def put(at, value):
    struct.pack_into("q", shared, at, value)


def stopping():
    return shared[0] != 0


def number(n):
    return struct.pack("q", n)


class Channel:
    """send(n) sends a number; receive() yields those that have come, until the end."""

    def __init__(self, name, send, receive, finish=lambda: None, pause=0.001):
        self.name, self.send, self.receive, self.finish, self.pause = name, send, receive, finish, pause
        self.index = len(names)
        names.append(name)

    def write(self):
        n = 0
        while not stopping():
            for _ in range(8):
                self.send(n)
                n += 1
                put(counter(self.index, 0), n)
            time.sleep(self.pause)
        self.finish()

    def read(self):
        expected = 0
        for n in self.receive():
            assert n == expected, f"{self.name}: {n} came instead of {expected}"
            expected += 1
            put(counter(self.index, 1), expected)


def whole(read):
    """The numbers of a stream, whatever pieces it comes in."""
    rest = b""
    while True:
        data = read(4093)
        if not data:
            return
        rest += data
        while len(rest) >= SIZE:
            yield struct.unpack("q", rest[:SIZE])[0]
            rest = rest[SIZE:]


def messages(receive):
    """The numbers of messages, until an empty one."""
    while data := receive(100):
        yield struct.unpack("q", data)[0]


def until_all(index, take):
    """What take() gives, until as much has come as was sent."""
    got = 0
    while True:
        for n in take():
            yield n
            got += 1
        if stopping() and shared[1 + index] and got == get(counter(index, 0)):
            return


def ended(index):
    def mark():
        shared[1 + index] = 1
    return mark


def stream(name, out, into):
    """A stream of two descriptors, which ends when nobody can write to it any more."""
    outs.append(out)
    return Channel(name, lambda n: write_all(out, number(n)), lambda: whole(lambda size: os.read(into, size)), lambda: os.close(out))


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def channels():
    into, out = os.pipe()
    yield stream("pipe", out, into)
    os.mkfifo("fifo")
    both = os.open("fifo", os.O_RDWR)
    into, out = os.open("fifo", os.O_RDONLY), os.open("fifo", os.O_WRONLY)
    os.close(both)
    yield stream("FIFO", out, into)
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    yield stream("UNIX stream", a.detach(), b.detach())
    for name, kind in [("UNIX packets", socket.SOCK_SEQPACKET), ("UNIX datagrams", socket.SOCK_DGRAM)]:
        a, b = socket.socketpair(socket.AF_UNIX, kind)
        yield Channel(name, lambda n, a=a: a.send(number(n)), lambda b=b: messages(b.recv), lambda a=a: a.send(b""))
    for family, host in [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]:
        yield tcp(family, host)
        yield accepted(family, host)
    yield udp()
    yield terminal()
    yield rights()
    yield from counted()
    yield signals()
    yield appended()
    yield watched()


def tcp(family, host):
    listener = socket.create_server((host, 9000), family=family)
    a = socket.create_connection((host, 9000))
    b, _ = listener.accept()
    b.setblocking(False)
    poll = select.epoll()
    poll.register(b.fileno(), select.EPOLLIN | select.EPOLLET | select.EPOLLRDHUP)

    def read(size):
        while True:
            try:
                return b.recv(size)
            except BlockingIOError:
                poll.poll()
    keep.extend([listener, a, poll])
    return Channel(f"TCP to {host}", lambda n: a.sendall(number(n)), lambda: whole(read), lambda: a.shutdown(socket.SHUT_WR))


def accepted(family, host):
    """A new connection for each number."""
    listener = socket.create_server((host, 9001), family=family, backlog=50)
    index = len(names)

    def send(n):
        with socket.create_connection((host, 9001)) as c:
            c.sendall(number(n))
            c.shutdown(socket.SHUT_WR)
            assert c.recv(1) == b"k", "no answer"

    def take():
        if not select.select([listener], [], [], 0.05)[0]:
            return
        c, _ = listener.accept()
        with c:
            yield from whole(c.recv)
            c.sendall(b"k")
    keep.append(listener)
    return Channel(f"connections to {host}", send, lambda: until_all(index, take), ended(index), 0.01)


def udp():
    """With so few under way that none has to be dropped."""
    a, b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for s in a, b:
        s.bind(("127.0.0.1", 0))
    a.connect(b.getsockname())
    index = len(names)

    def send(n):
        while n - get(counter(index, 1)) > 50:
            time.sleep(0.001)
        a.send(number(n))
    return Channel("UDP", send, lambda: messages(b.recv), lambda: a.send(b""))


def terminal():
    master, slave = os.openpty()
    tty.setraw(slave)
    index = len(names)

    def take():
        if select.select([master], [], [], 0.05)[0]:
            nonlocal rest
            rest += os.read(master, 4000)
            while len(rest) >= SIZE:
                yield struct.unpack("q", rest[:SIZE])[0]
                rest = rest[SIZE:]
    rest = b""
    return Channel("pseudo terminal", lambda n: write_all(slave, number(n)), lambda: until_all(index, take), ended(index))


def rights():
    """Each number lies in a memfd that is sent."""
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)

    def send(n):
        fd = os.memfd_create("number")
        write_all(fd, number(n))
        a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        os.close(fd)

    def receive():
        while True:
            data, control, _, _ = b.recvmsg(1, socket.CMSG_SPACE(4))
            if data == b"" or data == b"e":
                return
            fd = struct.unpack("i", control[0][2])[0]
            yield struct.unpack("q", os.pread(fd, SIZE, 0))[0]
            os.close(fd)
    return Channel("descriptors", send, receive, lambda: a.send(b"e"), 0.01)


def counted():
    """Counters: one for each number."""
    for name, flags in [("eventfd", 0), ("semaphore", os.EFD_SEMAPHORE)]:
        fd, index = os.eventfd(0, flags | os.EFD_NONBLOCK), len(names)

        def take(fd=fd, have=[0]):
            if select.select([fd], [], [], 0.05)[0]:
                for _ in range(os.eventfd_read(fd)):
                    yield have[0]
                    have[0] += 1
        yield Channel(name, lambda n, fd=fd: os.eventfd_write(fd, 1), lambda take=take, index=index: until_all(index, lambda: take()), ended(index))


def signals():
    """Queued signals, each with a number."""
    fd = libc.signalfd(-1, mask(), 0)
    index = len(names)

    def send(n):
        while n - get(counter(index, 1)) > 100:
            time.sleep(0.001)
        while libc.sigqueue(get(32), REALTIME, ctypes.c_void_p(n)) != 0:
            time.sleep(0.001)

    def take():
        if select.select([fd], [], [], 0.05)[0]:
            info = os.read(fd, 128)
            yield struct.unpack_from("Q", info, 48)[0]  # ssi_ptr
    return Channel("signals", send, lambda: until_all(index, take), ended(index))


def mask():
    m = (ctypes.c_ulong * 16)()
    libc.sigemptyset(m)
    libc.sigaddset(m, REALTIME)
    return m


def appended():
    """A file that grows, and one who reads on."""
    out, into = os.open("file", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600), os.open("file", os.O_RDONLY)
    index = len(names)

    def take():
        data = os.read(into, SIZE * 100)
        if not data:
            time.sleep(0.002)
        for at in range(0, len(data), SIZE):
            yield struct.unpack_from("q", data, at)[0]
    return Channel("file", lambda n: write_all(out, number(n)), lambda: until_all(index, take), ended(index), 0.02)


def watched():
    """A directory in which files come and go."""
    os.mkdir("watched")
    fd, index = libc.inotify_init1(os.O_NONBLOCK), len(names)
    assert libc.inotify_add_watch(fd, b"watched", 0x100) >= 0  # IN_CREATE

    def send(n):
        os.close(os.open(f"watched/{n}", os.O_CREAT))
        os.unlink(f"watched/{n}")

    def take():
        if select.select([fd], [], [], 0.05)[0]:
            data = os.read(fd, 4096)
            while data:
                size = struct.unpack_from("iIII", data)[3]
                yield int(data[16:16 + size].rstrip(b"\0"))
                data = data[16 + size:]
    return Channel("inotify", send, lambda: until_all(index, take), ended(index), 0.05)


keep, outs = [], []


def run(work, all_channels):
    def one(channel):
        try:
            getattr(channel, work)()
        except BaseException as e:  # noqa: what it is goes into the result
            faults.append(f"{channel.name}, {work}: {type(e).__name__}: {e}")
            shared[0] = 1
    threads = [threading.Thread(target=one, args=(c,), daemon=True) for c in all_channels]
    for t in threads:
        t.start()
    return threads


def main():
    signal.pthread_sigmask(signal.SIG_BLOCK, [REALTIME])
    all_channels = list(channels())
    child = os.fork()
    if child == 0:
        put(32, os.getpid())
        for fd in outs:
            os.close(fd)
        for t in run("read", all_channels):
            t.join()
        with open("reader", "w") as f:
            f.write("; ".join(faults))
        os._exit(0)
    while get(32) == 0:
        time.sleep(0.01)
    pidfd = os.pidfd_open(child)
    threads = run("write", all_channels)
    while not os.path.exists("stop") and not stopping():
        time.sleep(0.02)
        with open("progress.new", "w") as f:
            f.write(" ".join(str(get(counter(c.index, 1))) for c in all_channels))
        os.rename("progress.new", "progress")
    shared[0] = 1
    for t in threads:
        t.join(60)
    if not select.select([pidfd], [], [], 60)[0]:
        faults.append("the reader waits for more")
        os.kill(child, 9)
    os.waitpid(child, 0)
    if os.path.exists("reader"):
        with open("reader") as f:
            faults.extend(filter(None, [f.read()]))
    for c in all_channels:
        sent, received = get(counter(c.index, 0)), get(counter(c.index, 1))
        if sent != received or sent < 10:
            faults.append(f"{c.name}: {sent} were sent, {received} came")
    with open("result.new", "w") as f:
        f.write("fail: " + "; ".join(faults) if faults else "pass")
    os.rename("result.new", "result")


main()
