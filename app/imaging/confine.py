"""What a decoder process may do, taken away before it sees any input: memory, files, network, processes, signals.

seccomp admits a list of system calls (x86-64), Landlock the files of Python and of this package for reading. What the
kernel lacks is left out and named. No Python binding of either is kept up, so the two tables are here.
"""

import ctypes
import errno
import os
import resource
import struct
import sys
import sysconfig
from pathlib import Path

import app
import models

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_FILES = 64

# asm/unistd_64.h. No call among them opens a socket, starts a process or thread, signals, traces or writes a file.
# recvmsg takes the open file, for reading alone, that comes with a request.
_ALLOWED = {
    "read": 0, "write": 1, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7, "lseek": 8, "mmap": 9,
    "mprotect": 10, "munmap": 11, "brk": 12, "rt_sigaction": 13, "rt_sigprocmask": 14, "rt_sigreturn": 15, "ioctl": 16,
    "pread64": 17, "readv": 19, "writev": 20, "access": 21, "select": 23, "sched_yield": 24, "mremap": 25,
    "madvise": 28, "nanosleep": 35, "getpid": 39, "sendto": 44, "recvfrom": 45,
    "recvmsg": 47, "exit": 60, "uname": 63, "fcntl": 72,
    "getcwd": 79, "readlink": 89, "gettimeofday": 96, "getrlimit": 97, "getrusage": 98, "sysinfo": 99, "getuid": 102,
    "getgid": 104, "geteuid": 107, "getegid": 108, "sigaltstack": 131, "arch_prctl": 158, "gettid": 186, "futex": 202,
    "sched_getaffinity": 204, "getdents64": 217, "clock_gettime": 228, "clock_getres": 229, "clock_nanosleep": 230,
    "exit_group": 231, "newfstatat": 262, "readlinkat": 267, "faccessat": 269, "pselect6": 270, "ppoll": 271,
    "getrandom": 318, "membarrier": 324, "statx": 332, "rseq": 334, "faccessat2": 439,
}  # fmt: skip
# The calls that open files, and which argument holds the flags: for reading alone.
_OPENS = {2: 1, 257: 2}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_TMPFILE

# linux/bpf_common.h, linux/seccomp.h, linux/audit.h
_LOAD, _JUMP_EQ, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
_AUDIT_ARCH_X86_64, _X32_BIT = 0xC000003E, 0x40000000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

# linux/landlock.h, the system calls' numbers and the rights by the ABI's version.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_READ = 0b1101  # execute (libraries are mapped), read a file, read a folder
_RIGHTS_BY_ABI = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 5: 0xFFFF}
_NETWORK, _SCOPES = 0b11, 0b11


def confine(memory_mb: int) -> list[str]:
    """Confine this process for good; returns what the kernel does not offer. Raises OSError where it offers nothing."""
    limit = memory_mb * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    libc = ctypes.CDLL(None, use_errno=True)
    _prctl(libc, _PR_SET_DUMPABLE, 0)
    _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    missing = []
    try:
        _landlock(libc)
    except OSError:
        missing.append("Landlock")
    try:
        _seccomp(libc)
    except OSError:
        missing.append("seccomp")
    return missing


def _prctl(libc: ctypes.CDLL, option: int, value: int, pointer: object = None) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), pointer, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")


def _instruction(code: int, value: int, when: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("HBBI", code, when, otherwise, value)


def _program() -> bytes:
    """The filter in classic BPF: another architecture ends the process, a call that is not listed fails with EPERM."""
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_JUMP_EQ, _AUDIT_ARCH_X86_64, when=1),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
        _instruction(_JUMP_GE, _X32_BIT, otherwise=1),
        _instruction(_RETURN, _REFUSE),
    ]
    for number, argument in _OPENS.items():
        program += [
            _instruction(_JUMP_EQ, number, otherwise=4),
            _instruction(_LOAD, _ARGUMENTS + 8 * argument),
            _instruction(_JUMP_SET, _WRITES & ~os.O_DIRECTORY, otherwise=1),
            _instruction(_RETURN, _REFUSE),
            _instruction(_RETURN, _ALLOW),
        ]
    for number in _ALLOWED.values():
        program += [_instruction(_JUMP_EQ, number, otherwise=1), _instruction(_RETURN, _ALLOW)]
    return b"".join([*program, _instruction(_RETURN, _REFUSE)])


def _seccomp(libc: ctypes.CDLL) -> None:
    program = _program()
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions, and where they are.
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer)))
    _prctl(libc, _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header))


def _landlock(libc: ctypes.CDLL) -> None:
    abi = libc.syscall(_CREATE_RULESET, None, 0, 1)
    if abi < 1:
        raise OSError(errno.ENOSYS, "landlock")
    rights = max(value for version, value in _RIGHTS_BY_ABI.items() if version <= abi)
    # struct landlock_ruleset_attr has grown with the ABI.
    attributes = [rights, *([_NETWORK] if abi >= 4 else []), *([_SCOPES] if abi >= 6 else [])]
    given = ctypes.create_string_buffer(struct.pack(f"{len(attributes)}Q", *attributes))
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(given), 8 * len(attributes), 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    try:
        for path in _readable():
            folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = ctypes.create_string_buffer(struct.pack("=Qi", _READ, folder))
            libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
            os.close(folder)
        if libc.syscall(_RESTRICT_SELF, ruleset, 0):
            raise OSError(ctypes.get_errno(), "landlock")
    finally:
        os.close(ruleset)


def _readable() -> list[str]:
    """Folders of code: Python's, its packages', this package's. No folder that may hold data or keys is among them."""
    named = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    named |= {str(Path(module.__file__).parent) for module in (app, models) if module.__file__}
    named |= {f"{sys.base_prefix}/lib", "/lib", "/lib64", "/usr/lib", "/usr/lib64"}
    return sorted(path for path in named if Path(path).is_dir())
