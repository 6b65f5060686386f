"""Become a server: drop privileges, tie this process to its parent, then run the command.

A script of its own, run as ``python -I -S launch.py SIGNAL PARENT UID GID COMMAND...`` and never imported. The
alternative, ``Popen(preexec_fn=...)``, is not safe in a process with threads. On Linux the kernel sends SIGNAL
when the thread that started us ends; this must be asked for after the change of user, which clears it.
"""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Never returns: the process becomes the command, or ends with one line and status 127."""
    signal_number, parent, uid, gid, *command = arguments
    try:
        if uid != "-":
            os.setgroups([])
            os.setgid(int(gid))
            os.setuid(int(uid))
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
            if os.getppid() != int(parent):
                sys.exit("the process that started this one is gone")
        os.execv(command[0], command)  # noqa: S606 - the command is our own parent's
    except OSError as error:
        print(f"{command[0]} cannot be run: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main(sys.argv[1:])
