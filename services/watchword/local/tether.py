"""Becomes another program, one that dies with its parent.

Run by path, not imported: `python -I -S tether.py PARENT_PID SIGNAL IDENTITY PROGRAM ARGUMENT…`. IDENTITY is `-`
(stay who we are) or `UID:GID`. The order is the point: Linux forgets the death signal when a process changes its
user (prctl(2), PR_SET_PDEATHSIG), so the signal is asked for last; and a parent that died before we asked would
never be noticed, so we look for it once more afterwards.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PARENT_IS_GONE = 125


def become(identity: str) -> None:
    """Gives up root for `UID:GID`, supplementary groups included. `-` changes nothing."""
    if identity == "-":
        return
    uid, gid = (int(part) for part in identity.split(":"))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def tie_to_parent(signal_number: int) -> None:
    """Asks Linux for `signal_number` when the parent's thread ends. Elsewhere there is no such call."""
    if not sys.platform.startswith("linux"):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) was refused")


def main(arguments: list[str]) -> None:
    """Replaces this process by the program that `arguments` name, or ends with 125 if the parent is gone."""
    parent_pid, signal_number, identity, *command = arguments
    become(identity)
    tie_to_parent(int(signal_number))
    if os.getppid() != int(parent_pid):
        sys.exit(_PARENT_IS_GONE)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(sys.argv[1:])
