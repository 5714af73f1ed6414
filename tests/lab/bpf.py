# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""What the lab asks the bpf system call itself, without a library."""
import ctypes
import errno
import os
import platform
import struct

PROG_LOAD, OBJ_PIN, OBJ_GET, OBJ_INFO, PROG_QUERY = 5, 6, 7, 15, 16
PROG_TYPE_XDP = 6
SYSCALL = {"x86_64": 321, "aarch64": 280}
# r0 = XDP_PASS; exit
PASS = struct.pack("<BBhi", 0xb7, 0, 0, 2) + struct.pack("<BBhi", 0x95, 0, 0, 0)


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


def pin_pass(path):
    """Pin an XDP program that passes everything."""
    code = ctypes.create_string_buffer(PASS, len(PASS))
    licence = ctypes.create_string_buffer(b"GPL")
    attr = ctypes.create_string_buffer(struct.pack(
        "<IIQQIIQII16sII", PROG_TYPE_XDP, len(PASS) // 8, ctypes.addressof(code),
        ctypes.addressof(licence), 0, 0, 0, 0, 0, b"lab_pass", 0, 0), 72)
    fd = bpf(PROG_LOAD, attr)
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
