"""`python bench/gates.py`: what replaying every fault takes, and how often 204 healthy versions are stopped.

Rendered by the supply's Helm; the seconds are those of making the series, Prometheus' answers, and the replay.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

if __package__ in (None, ""):  # `python bench/gates.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import anyio
from rich.console import Console
from rich.table import Table

from ci.base import paths
from ci.canary import declared, judge, plan
from ci.canary.plan import Plan
from ci.checks import gates as check
from ci.checks.chart import RELEASE, objects
from ci.manifests.chart import NAMESPACE, Chart, Rendering
from ci.manifests.manifests import Manifest
from ci.supply.supply import Supply, choose

REPEAT = 34
"""Of each of the six healthy shapes."""


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="measured runs (default: %(default)s)")
    options = parser.parse_args()
    supply = Supply(choose("auto"))
    anyio.run(supply.fetch, ["helm", "prometheus", "promtool"])
    chart = Chart(paths.ROOT, str(paths.CHART.relative_to(paths.ROOT)), supply.version("kubernetes"))
    rendered = {name: _rendered(supply.tool("helm"), chart, name) for name in paths.RENDERINGS}
    executables = supply.tool("prometheus"), supply.tool("promtool")
    seconds = []
    for _ in range(options.runs):
        started = time.monotonic()
        anyio.run(check.assess, *executables, chart, rendered)
        seconds.append(time.monotonic() - started)
    table = Table(title="Gates", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "Median", "Least", "Most", "Goal"):
        table.add_column(heading, justify="right" if heading else "left")
    figures = (f"{value:.1f} s" for value in (statistics.median(seconds), min(seconds), max(seconds)))
    table.add_row(f"every shape, {len(paths.RENDERINGS)} environments", *figures, "≤ 30 s")
    for name in paths.RENDERINGS:
        canary = plan.read(name, rendered[name])
        assert canary is not None
        stopped, all_of_them = anyio.run(_stopped, executables, chart, canary)
        table.add_row(f"healthy versions stopped, {name}", f"{stopped} of {all_of_them}", "", "", "≤ 1 %")
    Console().print(table)


async def _stopped(executables: tuple[Path, Path], chart: Chart, canary: Plan) -> tuple[int, int]:
    cases = [case for case in judge.catalogued([canary], REPEAT) if not case.shape.bad]
    verdicts = await judge.judge(*executables, cases, declared.load(chart))
    by = Counter(f"{each.shape}: {outcome.metric}" for each in verdicts for outcome in each.wrong)
    for what, number in by.items():
        print(f"{canary.environment}: {what}: {number}", file=sys.stderr)
    return sum(by.values()), len(cases)


def _rendered(helm: Path, chart: Chart, environment: str) -> list[Manifest]:
    argv = [helm, "template", RELEASE, ".", f"--namespace={NAMESPACE}", *chart.options(environment)]
    done = subprocess.run(argv, cwd=chart.root / chart.path, check=True, capture_output=True, text=True)
    return objects(chart, Rendering(environment, done.stdout))


if __name__ == "__main__":
    main()
