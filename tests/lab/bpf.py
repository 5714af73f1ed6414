# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the lab asks the bpf system call itself, without a library."""
import contextlib
import ctypes
import errno
import os
import platform
import struct

PROG_LOAD, OBJ_PIN, OBJ_GET, PROG_ATTACH, PROG_DETACH, OBJ_INFO, PROG_QUERY = 5, 6, 7, 8, 9, 15, 16
PROG_TYPE_XDP, PROG_TYPE_SOCK_OPS = 6, 13
CGROUP_SOCK_OPS, ALLOW_MULTI = 3, 2
SYSCALL = {"x86_64": 321, "aarch64": 280}
# r0 = XDP_PASS; exit
PASS = struct.pack("<BBhi", 0xb7, 0, 0, 2) + struct.pack("<BBhi", 0x95, 0, 0, 0)
# for how long a connection waits until it sends its SYN again, in the kernel's ticks: seconds, where it is one usually.
# r2 = context->op; if it is BPF_SOCK_OPS_TIMEOUT_INIT then context->reply = ...; r0 = 1; exit
PATIENT_TICKS = 6000
PATIENT = b"".join(struct.pack("<BBhi", *step) for step in (
    (0x61, 0x12, 0, 0), (0x55, 0x02, 2, 1), (0xb7, 0x02, 0, PATIENT_TICKS), (0x63, 0x21, 4, 0), (0xb7, 0, 0, 1), (0x95, 0, 0, 0)))


def bpf(command, attr):
    """The system call with its attributes as bytes, which it may change; -1 becomes OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if platform.machine() not in SYSCALL:
        raise OSError(errno.ENOSYS, "unknown machine")
    rc = libc.syscall(SYSCALL[platform.machine()], command, attr, len(attr))
    if rc < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"bpf command {command}: {os.strerror(number)}")
    return rc


def load(kind, steps, name):
    """A descriptor of a program."""
    code = ctypes.create_string_buffer(steps, len(steps))
    licence = ctypes.create_string_buffer(b"GPL")
    return bpf(PROG_LOAD, ctypes.create_string_buffer(struct.pack(
        "<IIQQIIQII16sII", kind, len(steps) // 8, ctypes.addressof(code),
        ctypes.addressof(licence), 0, 0, 0, 0, 0, name, 0, 0), 72))


@contextlib.contextmanager
def patient_connections(cgroup):
    """Whoever connects from this cgroup meanwhile sends its SYN again after seconds. So one that was sent again was lost,
    and not only late because the whole machine stood still for a second."""
    target = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    fd = load(PROG_TYPE_SOCK_OPS, PATIENT, b"lab_patient")
    about = struct.pack("<IIII", target, fd, CGROUP_SOCK_OPS, ALLOW_MULTI)
    try:
        bpf(PROG_ATTACH, ctypes.create_string_buffer(about, 16))
        try:
            yield
        finally:
            bpf(PROG_DETACH, ctypes.create_string_buffer(about[:12] + bytes(4), 16))
    finally:
        os.close(fd)
        os.close(target)


def pin_pass(path):
    """Pin an XDP program that passes everything."""
    fd = load(PROG_TYPE_XDP, PASS, b"lab_pass")
    try:
        name = ctypes.create_string_buffer(path.encode())
        bpf(OBJ_PIN, ctypes.create_string_buffer(
            struct.pack("<QII", ctypes.addressof(name), fd, 0), 16))
    finally:
        os.close(fd)


def attached(target, attach_type):
    """How many programs are attached to a device or cgroup; 0 also where the hook is unknown."""
    ids = ctypes.create_string_buffer(256)
    attr = ctypes.create_string_buffer(struct.pack(
        "<IIIIQII32s", target, attach_type, 0, 0, ctypes.addressof(ids), 64, 0, b""), 64)
    try:
        bpf(PROG_QUERY, attr)
    except OSError:
        return 0
    return struct.unpack_from("<I", attr, 24)[0]


def obj_get(path):
    """A descriptor of what is pinned there."""
    name = ctypes.create_string_buffer(path.encode())
    return bpf(OBJ_GET, ctypes.create_string_buffer(struct.pack("<QII", ctypes.addressof(name), 0, 0), 16))


def map_size(fd):
    """How many bytes the values of an array take, of which each is a multiple of eight long."""
    info = ctypes.create_string_buffer(64)
    bpf(OBJ_INFO, ctypes.create_string_buffer(struct.pack("<IIQ", fd, len(info), ctypes.addressof(info)), 16))
    _, _, _, value_size, elements = struct.unpack_from("<5I", info)
    return value_size * elements
