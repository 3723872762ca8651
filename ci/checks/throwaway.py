"""What the project file changes of applications on a throw-away cluster, held against the chart as `test` will.

The chart takes an application as its environment has it, or there is a finding elsewhere. What it refuses here is what
`throwaway` puts over that, so a finding names the project file's key.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ci import project as projects
from ci.base.errors import UsageError
from ci.manifests import overlay, values
from ci.manifests.chart import Rendering, Target, Values
from ci.project import Throwaway
from ci.results import Finding

CHECK = "throwaway"


@dataclass(frozen=True)
class Changed:
    """An application as a throw-away cluster gets it.

    Attributes:
        target: The application, with other values over its own.
        lines: What they change, a line each.
    """

    target: Target
    lines: Sequence[str]


def changed(changes: Throwaway, judged: Sequence[Target]) -> tuple[list[Changed], list[tuple[str, Finding]]]:
    """Return the applications of which something is changed; and why one cannot be, with its name.

    Args:
        changes: What the project file has.
        judged: What Helm takes as its environment has it.
    """
    found: list[Changed] = []
    wrong: list[tuple[str, Finding]] = []
    for target in judged:
        if target.application is None:
            continue
        try:
            over, lines = overlay.throwaway(changes, target.application, target.layers)
        except UsageError as error:
            place = target.place(("canary", "steps"))
            wrong.append((target.name, Finding(CHECK, *place, error.message, "give each pause a duration")))
            continue
        if lines:
            own = Values(projects.FILE, values.written(over))
            found.append(Changed(replace(target, values=[own, *target.values]), lines))
    return found, wrong


def findings(
    text: str, applications: Sequence[Changed], renderings: Sequence[Rendering]
) -> Iterator[tuple[str, Finding]]:
    """Yield what the chart refuses of applications that are changed, each with the application's name.

    Args:
        text: The project file.
        applications: The applications.
        renderings: What Helm made of them, in their order.
    """
    for each, rendering in zip(applications, renderings, strict=True):
        for refused in rendering.findings:
            path, _, _ = refused.message.partition(": ")
            keys = overlay.keys_about(each.lines, path) or filter(None, map(overlay.key_of, each.lines))
            first, *more = dict.fromkeys(keys)
            line = projects.line_of(text, tuple(first.split(".")))
            said = f"{', '.join((first, *more))}: the chart does not take it on a throw-away cluster: {refused.message}"
            yield each.target.name, Finding(CHECK, projects.FILE, line, said, "give it what the chart takes")
