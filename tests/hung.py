"""A process whose memory is locked: whoever reads its environment, its command line or its map waits.

    hung.py DIRECTORY [UID]

It hangs in mmap(2), on a FUSE file system below DIRECTORY that does not answer, and holds the lock meanwhile. Its
environment is that of this script. Needs root and a mount namespace of its own (`unshare -m`). Prints the pid of the
process once it hangs, and stays until its stdin ends.
"""

import ctypes
import mmap
import os
import select
import struct
import sys

LOOKUP, GETATTR, OPEN, READ, WRITE, FLUSH, RELEASE, INIT = 1, 3, 14, 15, 16, 25, 18, 26
FOPEN_DIRECT_IO = 1
PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
SIZE = mmap.PAGESIZE

libc = ctypes.CDLL(None, use_errno=True)
opened = [0]


def attributes(node):
    mode = 0o40755 if node == 1 else 0o100666
    return struct.pack("<6Q10I", node, SIZE, 8, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, SIZE, 0)


def open_(_):
    """The first one is without a cache: to map it, the kernel first has what the cache holds written."""
    opened[0] += 1
    return struct.pack("<Q2I", opened[0], FOPEN_DIRECT_IO * (opened[0] == 1), 0)


ANSWERS = {
    INIT: lambda node: struct.pack("<4I2H2I2H8I", 7, 31, 0, 0, 1, 1, SIZE, 1, 0, 0, *[0] * 8),
    LOOKUP: lambda node: struct.pack("<4Q2I", 2, 0, 1000, 1000, 0, 0) + attributes(2),
    GETATTR: lambda node: struct.pack("<Q2I", 1000, 0, 0) + attributes(node),
    OPEN: open_,
    READ: lambda node: bytes(SIZE),
    FLUSH: lambda node: b"",
    RELEASE: lambda node: b"",
}


def serve(device, victim):
    poll = select.poll()
    poll.register(device, select.POLLIN)
    poll.register(0, select.POLLIN)
    while 0 not in dict(poll.poll()):
        _, kind, unique, node = struct.unpack_from("<2I2Q", os.read(device, 1 << 17))
        if kind == WRITE:
            print(victim, flush=True)
            continue
        body = ANSWERS[kind](node) if kind in ANSWERS else b""
        os.write(device, struct.pack("<IiQ", 16 + len(body), 0 if kind in ANSWERS else -38, unique) + body)


def hang(where, uid):
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0)
    direct, cached = (os.open(f"{where}/file", os.O_RDWR) for _ in range(2))
    written = mmap.mmap(cached, SIZE)
    written[0] = 1
    mmap.mmap(direct, SIZE, mmap.MAP_PRIVATE)


def main():
    where, uid = sys.argv[1], int((*sys.argv[2:], 0)[0])
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"hung", where.encode(), b"fuse", 0, options):
        sys.exit(os.strerror(ctypes.get_errno()))
    victim = os.fork()
    if victim == 0:
        os.close(device)
        hang(where, uid)
        os._exit(0)
    serve(device, victim)
    os.close(device)  # that aborts what hangs
    os.waitpid(victim, 0)


main()
