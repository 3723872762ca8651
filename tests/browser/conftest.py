"""`pytest tests/browser`: the report's page in headless Chromium, by Debian's packages."""

import importlib.util
import shutil
from pathlib import Path

import pytest

NEEDS = {"chromium": "apt-get install chromium", "chromedriver": "apt-get install chromium-driver"}


def pytest_addoption(parser):
    parser.addoption("--screenshots", type=Path, metavar="DIR", help="keep what is seen there (default: nowhere)")


def pytest_configure():
    missing = [fix for program, fix in NEEDS.items() if shutil.which(program) is None]
    if importlib.util.find_spec("selenium") is None:
        missing.append("pip install -e '.[browser]'")
    if missing:
        lines = "\n  ".join(missing)
        pytest.exit(f"tests/browser needs a browser:\n  {lines}", returncode=pytest.ExitCode.USAGE_ERROR)
