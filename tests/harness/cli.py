"""A command in a process of its own, forked from one that has loaded all of it: that takes seconds each time.

No module of the tool looks at its environment as it is imported (tests/unit/test_settings.py). What depends on how
Python begins (its options and variables, a stream that is closed, a signal in mid-import) takes a process that is
started, and so do commands at the same time.
"""

import atexit
import functools
import gc
import importlib
import json
import multiprocessing
import os
import pkgutil
import runpy
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAIN = ROOT / "ci" / "main.py"
SECONDS = 300
"""After which a command is killed."""
CALL_BYTES = 1 << 20


def run(*arguments, cwd=None, env=None, check=False, user=()):
    """Call the command line; return its exit code and what it printed.

    Args:
        arguments: The command line's.
        cwd: Where it is called; where this process is by default.
        env: Its whole environment; this process's by default.
        check: Raise CalledProcessError for an exit code other than 0.
        user: Command that starts another as somebody else.
    """
    argv = [str(MAIN), *map(str, arguments)]
    call = {"argv": argv, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env)}
    forks = _forks(tuple(user))
    streams = [os.pipe(), os.pipe()]
    socket.send_fds(forks, [json.dumps(call).encode()], [write for _, write in streams])
    for _, write in streams:
        os.close(write)
    with ThreadPoolExecutor(2) as readers:
        printed = list(readers.map(_read, [read for read, _ in streams]))
    ended = subprocess.CompletedProcess(argv, int(forks.recv(CALL_BYTES)), *printed)
    if check:
        ended.check_returncode()
    return ended


def _read(stream):
    with os.fdopen(stream, encoding="utf-8") as file:
        return file.read()


@functools.cache
def _forks(user):
    """Start the process that commands are forked from; it ends when this one does."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    argv = [*user, sys.executable, __file__, str(its.fileno())]
    process = subprocess.Popen(argv, cwd=ROOT, pass_fds=[its.fileno()], stdin=subprocess.DEVNULL)
    its.close()
    atexit.register(process.wait)
    atexit.register(ours.close)
    return ours


def serve(calls):
    """Answer each call of a command with its exit code, until there is nobody to call."""
    context = multiprocessing.get_context("fork")
    while (received := socket.recv_fds(calls, CALL_BYTES, 2))[0]:
        call, streams, *_ = received
        command = context.Process(target=begin, args=(json.loads(call), streams))
        command.start()
        for stream in streams:
            os.close(stream)
        command.join(SECONDS)
        command.kill()
        command.join()
        calls.send(str(command.exitcode).encode())


def begin(call, streams):
    """Be a command's process."""
    for number, stream in enumerate(streams, start=1):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(call["cwd"])
    os.environ.clear()
    os.environ.update(call["env"])
    sys.argv = call["argv"]
    runpy.run_path(str(MAIN), run_name="__main__")


def load():
    """Load what any command may need."""
    sys.path[0] = str(ROOT)
    commands = importlib.import_module("ci.commands")
    for module in pkgutil.iter_modules(commands.__path__, "ci.commands."):
        importlib.import_module(module.name)
    gc.collect()
    gc.freeze()  # or each command would write to all of the memory that it shares


if __name__ == "__main__":
    load()
    serve(socket.socket(fileno=int(sys.argv[1])))
