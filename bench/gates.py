"""`python bench/gates.py`: what replaying every fault takes, and how often 204 healthy versions are stopped.

Of this project's own targets, rendered by the supply's Helm; the seconds are those of making the series, Prometheus'
answers, and the replay.
"""

import argparse
import json
import statistics
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path

if __package__ in (None, ""):  # `python bench/gates.py`: make the package importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

import anyio
from rich.console import Console
from rich.table import Table

from ci import project
from ci.base import command, paths
from ci.canary import declared, judge, plan
from ci.canary.plan import Plan
from ci.checks import chart, targets, tools
from ci.checks import gates as check
from ci.manifests.chart import Rendering
from ci.supply.supply import Supply
from ci.supply.ways import choose

REPEAT = 34
"""Of each of the six healthy shapes."""
PROJECT = project.load(paths.ROOT)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=3, help="measured runs (default: %(default)s)")
    options = parser.parse_args()
    supply = Supply(choose("auto"))
    anyio.run(supply.fetch, ["helm", "prometheus", "promtool"])
    renderings = anyio.run(_rendered, supply)
    executables = supply.tool("prometheus"), supply.tool("promtool")
    seconds = []
    for _ in range(options.runs):
        started = time.monotonic()
        anyio.run(partial(check.assess, *executables, paths.ROOT, PROJECT.paths.tree, renderings))
        seconds.append(time.monotonic() - started)
    table = Table(title="Gates", title_justify="left", box=None, pad_edge=False)
    for heading in ("", "Median", "Least", "Most", "Goal"):
        table.add_column(heading, justify="right" if heading else "left")
    figures = (f"{value:.1f} s" for value in (statistics.median(seconds), min(seconds), max(seconds)))
    table.add_row(f"every shape, {len(renderings)} targets", *figures, "≤ 30 s")
    for each in renderings:
        canary = plan.read(each.target.name, each.objects)
        assert canary is not None
        stopped, all_of_them = anyio.run(_stopped, executables, canary)
        table.add_row(f"healthy versions stopped, {each.target.name}", f"{stopped} of {all_of_them}", "", "", "≤ 1 %")
    Console().print(table)


async def _stopped(executables: tuple[Path, Path], canary: Plan) -> tuple[int, int]:
    cases = [case for case in judge.catalogued([canary], REPEAT) if not case.shape.bad]
    verdicts = await judge.judge(*executables, cases, declared.load(paths.ROOT, PROJECT.paths.tree))
    by = Counter(f"{each.shape}: {outcome.metric}" for each in verdicts for outcome in each.wrong)
    for what, number in by.items():
        print(f"{canary.environment}: {what}: {number}", file=sys.stderr)
    return sum(by.values()), len(cases)


async def _rendered(supply: Supply) -> list[Rendering]:
    async with targets.found(paths.ROOT, PROJECT, targets.Chosen()) as found:
        folder = found.folder / "helm"
        chart.laid_out(found.judged, folder)
        commands = chart.commands(found.judged, "template", supply.version("kubernetes"))
        wanted = [{"folder": str(folder / each.folder), "arguments": list(each.arguments)} for each in commands]
        argv = [sys.executable, tools.EACH, supply.tool("helm")]
        done = await command.run(argv, stdin=json.dumps(wanted))
        outputs = [tools.Output(**each) for each in json.loads(done.stdout)]
        return [chart.rendered(target, output) for target, output in zip(found.judged, outputs, strict=True)]


if __name__ == "__main__":
    main()
