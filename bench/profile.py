"""`python bench/profile.py [STAGE…]`: where the time of one run of `test` goes, by stage, by process, by step.

Looks at every process once a second, and at what the cores did. One that lives for less than that may not be seen: its
time is counted as "not seen". Other work on the machine is counted as well, so there should be none.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

if __package__ in (None, ""):  # `python bench/profile.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import psutil
from rich.console import Console

from bench import measuring
from ci.base import jsonfile, paths
from ci.results import Report

EVERY_SECONDS = 1.0
LISTED = 25
STEP = re.compile(r"^ +[✓✗] (?P<name>.+) (?P<seconds>[0-9.]+) s$")
"""How the tool says that a step is over."""
KUBEPODS, HOST = "kubepods", "host"
NOT_SEEN = "not seen"
IDLE = ("idle", "iowait")
INSIDE = ("guest", "guest_nice")
"""Of what the cores did, counted as `user` and `nice` already."""

Process = tuple[str, str]
"""Where it runs, and what it is."""


@dataclass
class Look:
    """What happened from one look to the next.

    Attributes:
        at: When, as `time.time()` tells it.
        busy: Processor seconds of the whole machine.
        used: Processor seconds of each process that was seen.
    """

    at: float
    busy: float
    used: Counter[Process] = field(default_factory=Counter)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stages", nargs="*", metavar="STAGE", help="as for `test --only` (default: all)")
    stages = parser.parse_args().stages
    with tempfile.TemporaryDirectory() as folder, looking() as looks:
        command = [sys.executable, str(paths.ROOT / "ci/main.py"), "test", f"--report={folder}"]
        command += [f"--only={name}" for name in stages]
        ran = subprocess.run(command, cwd=paths.ROOT, stderr=subprocess.PIPE, text=True, check=False)
        print(ran.stderr, file=sys.stderr)
        report = jsonfile.read(Path(folder) / "report.json", Report)
    console = Console()
    for table in (by_stage(report, looks), by_process(looks), by_step(ran.stderr.splitlines())):
        console.print(table)
        console.print()
    sys.exit(ran.returncode)


@contextmanager
def looking() -> Iterator[list[Look]]:
    """Look at the machine for as long as the block runs; what was seen is in the list."""
    looks: list[Look] = []
    over = threading.Event()

    def look() -> None:
        known = dict(seen())
        before = busy()
        while not over.wait(EVERY_SECONDS):
            now, after = dict(seen()), busy()
            used: Counter[Process] = Counter()
            for process, (name, seconds) in now.items():
                used[name] += seconds - known.get(process, (name, 0.0))[1]
            looks.append(Look(time.time(), after - before, used))
            known, before = now, after

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield looks
    finally:
        over.set()
        thread.join()


def seen() -> Iterator[tuple[tuple[int, float], tuple[Process, float]]]:
    """Yield each process, by what tells it from any other, with what it is and the processor seconds it has used."""
    for process in psutil.process_iter():
        try:
            with process.oneshot():
                times = process.cpu_times()
                name = (_place(process.pid), _called(process.name(), process.cmdline()))
                yield (process.pid, process.create_time()), (name, times.user + times.system)
        except (psutil.NoSuchProcess, OSError):
            continue  # it has ended


def busy() -> float:
    """Return the processor seconds that the machine has used since it started."""
    return sum(value for key, value in psutil.cpu_times()._asdict().items() if key not in (*IDLE, *INSIDE))


def by_stage(report: Report, looks: Sequence[Look]) -> object:
    """Return a table of the stages; one that runs beside others has their time, too."""
    began = datetime.fromisoformat(report.started).timestamp()
    table = measuring.table(f"Stages, {os.cpu_count()} cores", "", "Wall s", "Busy s", "Idle s", "Most of it")
    for stage in report.stages:
        of_it = [each for each in looks if 0 <= each.at - began - stage.started <= stage.seconds]
        total, used = _total(of_it)
        most = ", ".join(f"{name} {seconds:.0f}" for (_, name), seconds in used.most_common(4))
        idle = stage.seconds * (os.cpu_count() or 1) - total
        table.add_row(stage.name, f"{stage.seconds:.1f}", f"{total:.1f}", f"{max(idle, 0):.1f}", most)
    return table


def by_process(looks: Sequence[Look]) -> object:
    """Return a table of what the processes used."""
    total, used = _total(looks)
    table = measuring.table(f"Processes, {total:.0f} processor seconds", "", "Where", "Seconds")
    for (where, name), seconds in used.most_common(LISTED):
        table.add_row(name, where, f"{seconds:.1f}")
    return table


def by_step(lines: Sequence[str]) -> object:
    """Return a table of the steps that took longest."""
    steps = sorted(
        ((float(found["seconds"]), found["name"]) for line in lines if (found := STEP.match(line))), reverse=True
    )
    table = measuring.table("Steps", "", "Seconds")
    for seconds, name in steps[:LISTED]:
        table.add_row(name, f"{seconds:.1f}")
    return table


def _total(looks: Sequence[Look]) -> tuple[float, Counter[Process]]:
    used: Counter[Process] = Counter()
    for each in looks:
        used.update(each.used)
    total = sum(each.busy for each in looks)
    used[HOST, NOT_SEEN] = total - sum(used.values())
    return total, used


def _place(pid: int) -> str:
    """Return where a process runs: a pod of a node, beside them in a container, or on the host."""
    cgroups = Path(f"/proc/{pid}/cgroup").read_text()
    if KUBEPODS in cgroups:
        return "pod"
    return "container" if "docker" in cgroups else HOST


def _called(name: str, command: Sequence[str]) -> str:
    """Return what a process is; of an interpreter, what it interprets."""
    if not name.startswith("python"):
        return name
    words = [Path(word).name for word in command[1:] if not word.startswith("-") and "\n" not in word]
    return " ".join([name, *words[:1]])


if __name__ == "__main__":
    main()
