"""Asks the model the known question as a client in the mesh does, and compares: what `helm test` runs.

Environment: URL and REQUEST; STEPS to the answer in the reply, and CHECKS that it must pass, both as
templates/_known_answer.tpl makes them; LISTED, whether the answer is a list; ROUTED, whether a VirtualService is in the
way; WAIT, seconds.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from typing import Any

REQUEST_SECONDS = 10


def main() -> None:
    """Ask until the answer is right, or the time is over."""
    url, checks = os.environ["URL"], json.loads(os.environ["CHECKS"])
    steps, listed = json.loads(os.environ["STEPS"]), os.environ["LISTED"] == "true"
    deadline = time.monotonic() + float(os.environ["WAIT"])
    while True:
        right, served_by = False, None
        request = urllib.request.Request(  # noqa: S310 - the chart's own address
            url, os.environ["REQUEST"].encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as response:  # noqa: S310
                body, served_by = response.read().decode(errors="replace"), response.headers.get("x-served-by")
            answer = reached(json.loads(body), steps)
            right, said = passes(answer, checks, listed=listed), f"answer: {json.dumps(answer)}"
        except urllib.error.HTTPError as error:
            said = f"{error} {error.read().decode(errors='replace')}"
        except LookupError as error:
            said = f"no answer at {steps} ({error}): {body}"
        except (OSError, ValueError) as error:
            said = str(error)
        if right or time.monotonic() > deadline:
            break
        time.sleep(1)
    in_mesh = served_by is not None or os.environ["ROUTED"] == "false"
    print(f"POST {url}\n{said}\nexpected: {json.dumps(checks)}\nserved by: {served_by}")
    if right and not in_mesh:
        print("the answer carries no x-served-by header: it did not come through the VirtualService")
    stop_sidecar()
    sys.exit(0 if right and in_mesh else 1)


def reached(answer: Any, steps: list[str | int]) -> Any:
    """Follow names and positions.

    Raises:
        LookupError: One of them is not there.
    """
    for step in steps:
        there = isinstance(answer, list) if isinstance(step, int) else isinstance(answer, dict)
        if not there:
            raise LookupError(step)
        answer = answer[step]
    return answer


def passes(answer: Any, checks: list[dict[str, Any]], *, listed: bool) -> bool:
    """Compare an answer with what is expected of each of its values."""
    if not listed:
        answer = [answer]
    return isinstance(answer, list) and len(answer) == len(checks) and all(map(equal, answer, checks))


def equal(value: Any, check: dict[str, Any]) -> bool:
    """Compare one value: 1 is 1.0, but not true."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if "least" in check:
        return number and check["least"] <= value <= check["most"]
    expected = check["equal"]
    return value == expected and isinstance(value, bool) == isinstance(expected, bool)


def stop_sidecar() -> None:
    """Tell a sidecar that is no native one that the pod is done."""
    try:
        urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:15020/quitquitquit", b""), timeout=5)
    except OSError as error:
        print(f"no sidecar to stop: {error}")


main()
