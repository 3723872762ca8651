"""What of this repository is no part of the tool, and a copy of the checkout without it.

python -m tests.pruned FOLDER      makes the copy of what is committed, in a folder that is not there yet

There the tests of the tool pass as they do here, for they own what they read.
"""

import subprocess
import sys
from pathlib import Path

from ci.base.paths import CHART, ROOT
from tests.harness import chart

OWN = (
    "ml-serving-ci.toml",
    "gitops",
    "sample",
    "k8s/argocd/appproject.yaml",
    "k8s/argocd/argocd-applications.yaml",
)
"""This repository as a project: the sample, its tree, and what is rendered of the project file."""


def made(folder):
    """Make the copy; its chart has no example model."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    subprocess.run(["git", "rm", "--quiet", "-r", *OWN], cwd=folder, check=True)
    chart.without_example(folder / CHART.relative_to(ROOT))


if __name__ == "__main__":
    made(Path(sys.argv[1]).absolute())
