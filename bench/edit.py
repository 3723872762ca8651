"""`python bench/edit.py`: the seconds that one changed scalar takes in YAML files of 10 kB to 10 MB, and per MB."""

import argparse
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

if __package__ in (None, ""):  # `python bench/edit.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console
from rich.table import Table

from ci.tree.scalars import KeyPath, set_scalars

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)

APPLICATION = """\
  # {name}: scored by the nightly job, see its runbook
  {name}:
    image:
      repository: registry.example.com/models/{name}
      tag: "1.20.{number}" # set by the release
    model: {{ storageUri: s3://models/{name}/v1, format: sklearn }}
    args: ["--workers", "2"]
    notes: |
      Keep this text,
        and how it is indented.

"""


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each size (default: %(default)s)")
    options = parser.parse_args()
    if options.runs < 1:
        parser.error("--runs must be at least 1")

    measured = {}
    for size in SIZES:
        content, path = _file(size)
        measured[len(content)] = [_seconds(content, path) for _ in range(options.runs + 1)][1:]
    Console().print(_table(measured))


def _file(size: int) -> tuple[bytes, KeyPath]:
    """Return a mapping of many applications, and the path of the last one's tag."""
    parts, length, number = ["applications:\n"], 0, 0
    while length < size:
        parts.append(APPLICATION.format(name=f"model-{number:06}", number=number))
        length += len(parts[-1])
        number += 1
    return "".join(parts).encode(), ("applications", f"model-{number - 1:06}", "image", "tag")


def _seconds(content: bytes, path: KeyPath) -> float:
    started = time.perf_counter()
    set_scalars(content, {path: "2.0.0"})
    return time.perf_counter() - started


def _table(measured: Mapping[int, Sequence[float]]) -> Table:
    table = Table(title="Setting one scalar", title_justify="left", box=None, pad_edge=False)
    for heading in ("Size", "Seconds", "Seconds per MB"):
        table.add_column(heading, justify="right")
    for size, seconds in measured.items():
        median = statistics.median(seconds)
        table.add_row(f"{size / 1e3:,.0f} kB", f"{median:.4f}", f"{median / (size / 1e6):.2f}")
    return table


if __name__ == "__main__":
    main()
