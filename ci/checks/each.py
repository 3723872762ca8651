"""`python each.py PROGRAM`: run many commands side by side; needs nothing but Python.

Standard input has them, as JSON: a list of {"folder": …, "arguments": […]}. Standard output gets what each left, in the
same order: {"code": …, "stdout": …, "stderr": …}.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def main() -> None:
    """Run them."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        json.dump(list(pool.map(_run, json.load(sys.stdin))), sys.stdout)


def _run(command: dict[str, Any]) -> dict[str, Any]:
    ended = subprocess.run(
        [sys.argv[1], *command["arguments"]],
        cwd=command["folder"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return {"code": ended.returncode, "stdout": ended.stdout, "stderr": ended.stderr}


if __name__ == "__main__":
    main()
