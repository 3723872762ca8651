"""Findings of many targets as one list."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ci.results import Finding

NAMED = 5
"""Of more targets than these, some are named."""


def merged(found: Iterable[tuple[str, Finding]], targets: Sequence[str]) -> list[Finding]:
    """Say once what several targets share, and name the targets where only some have it.

    Args:
        found: Findings, each with its target's name ("" for those without).
        targets: All names: ENV/APP, or ENV alone.

    Returns:
        The findings by file and line.
    """
    by_finding: dict[Finding, set[str]] = {}
    for target, finding in found:
        by_finding.setdefault(finding, set()).add(target)
    result = []
    for finding, having in by_finding.items():
        some = [target for target in targets if target in having]
        if some and len(some) < len(targets):
            result.append(replace(finding, message=f"{finding.message} [{', '.join(named(some, targets))}]"))
        else:
            result.append(finding)
    return sorted(result, key=lambda finding: (finding.file, finding.line, finding.check, finding.message))


def named(some: Sequence[str], targets: Sequence[str]) -> list[str]:
    """Return names for some targets, the first few: ENV/* where all of an environment's own are among them.

    Args:
        some: Of the targets, in their order.
        targets: All names: ENV/APP, or ENV alone.
    """
    names = []
    for environment in dict.fromkeys(_environment(target) for target in some):
        own = [target for target in some if _environment(target) == environment]
        whole = len(own) > 1 and len(own) == sum(_environment(target) == environment for target in targets)
        names += [f"{environment}/*"] if whole else own
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    return [*names[:NAMED], *more]


def _environment(target: str) -> str:
    return target.partition("/")[0]
