"""File systems that refuse, really mounted: in a mount namespace of their own, so that nothing of them can be left."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ci.base.paths import ROOT


class Disk:
    """A tmpfs that only the programs run on it see.

    Attributes:
        path: Where it is mounted.
    """

    def __init__(self, path, options):
        self.path = path
        self._options = options

    def run(self, script, *, stdin=None, **environment):
        """Run a script of the shell in which $M is the mount, CI this tool and PY its Python; return how it ended."""
        mount = f"mount -t tmpfs -o {self._options} tmpfs {shlex.quote(str(self.path))} || exit 99"
        python = shlex.quote(sys.executable)
        tools = f'CI() {{ {python} ci/main.py "$@"; }}; PY() {{ {python} "$@"; }}; M={shlex.quote(str(self.path))}'
        user = [] if os.getuid() == 0 else ["--map-root-user"]
        argv = ["unshare", *user, "--mount", "--propagation=private", "bash", "-c", f"{mount}; {tools}; {script}"]
        variables = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1", **environment}
        ended = subprocess.run(
            argv, cwd=ROOT, env=variables, input=stdin, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode != 99, f"no file system can be mounted here, which these tests need: {ended.stderr}"
        assert str(self.path) not in Path("/proc/self/mounts").read_text()
        return ended


@pytest.fixture
def disk(tmp_path):
    """Make a disk with these options of tmpfs."""
    (tmp_path / "mounted").mkdir()
    return lambda options: Disk(tmp_path / "mounted", options)
