"""Become a program that dies with the process that started it: `python bound.py PARENT PROGRAM ARGUMENT…`.

A file of its own, run without anything else: between the start of a process and its program, a process of
many threads must not run Python code.
"""

import ctypes
import os
import signal
import sys

# As in <sys/prctl.h>: the signal that the kernel sends to a process when its parent dies; it stays over exec.
PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    if ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL) != 0:
        sys.exit("prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != int(sys.argv[1]):
        sys.exit("the process that started this one died before the kernel was asked to tell of it")
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - as the caller's, of fixed arguments
