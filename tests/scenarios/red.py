"""`python tests/scenarios/red.py [NAME…]`: break what each scenario proves, run its stage, and see that scenario red.

Each fault is made in a copy of this checkout, as it is on disk, and the copy's own `test --only STAGE` is run; its
report is in FOLDER/NAME, and what it said is beside that. Exit code 1 where a scenario stays green.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

if __package__ in (None, ""):  # `python tests/scenarios/red.py`: make the packages importable from the checkout
    sys.path[0] = str(Path(__file__).resolve().parent.parent.parent)

from ci.base import jsonfile
from ci.base.paths import ROOT
from ci.results import Report
from ci.stages import counting
from tests.scenarios import scenarios
from tests.scenarios.scenarios import Scenario

SUITE = "tests/integration/"


def main() -> None:
    """Parse, run, and say of each scenario what it was."""
    known = {each.name: each for each in scenarios.load()}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="scenarios (default: all)")
    parser.add_argument("--report", type=Path, default=Path("build/red"), metavar="FOLDER", help="(%(default)s)")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - known.keys()):
        parser.error(f"no such scenario: {', '.join(unknown)}")
    green = 0
    for scenario in (known[name] for name in options.names or known):
        began = time.monotonic()
        red = seen_red(scenario, options.report.absolute() / scenario.name.replace(" ", "-"))
        green += not red
        print(f"{'red' if red else 'GREEN'}  {scenario.name} ({time.monotonic() - began:.0f} s): {red}", flush=True)
    sys.exit(1 if green else 0)


def seen_red(scenario: Scenario, report: Path) -> str:
    """Run a scenario's stage with its fault; return what was red of it, or nothing.

    Args:
        scenario: The scenario.
        report: Folder for the run's report.
    """
    shutil.rmtree(report, ignore_errors=True)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(copy)], check=True)
        files = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(files, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
            if name and (ROOT / name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, copy / name)
        scenario.fault.make(copy)
        command = [sys.executable, "ci/main.py", "test", f"--only={scenario.stage}", f"--report={report}"]
        report.parent.mkdir(parents=True, exist_ok=True)
        with report.with_suffix(".log").open("wb") as log:
            subprocess.run(command, cwd=copy, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False)
    if scenario.tests:
        junit = report / f"pytest-{scenario.stage}.xml"
        found = counting.cases(junit) if junit.exists() else []
        return next((each.test for each in found if each.outcome == "failed" and _is_of(scenario, each.test)), "")
    stages = jsonfile.read(report / "report.json", Report).stages
    return next((each.message for each in stages if (each.name, each.outcome) == (scenario.stage, "failed")), "")


def _is_of(scenario: Scenario, test: str) -> bool:
    return scenario.has(test.removeprefix(SUITE))


if __name__ == "__main__":
    main()
