"""What a chart makes anew each time it is rendered: what Argo CD deploys is never what was proven."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from ci import project as projects
from ci.manifests import manifests
from ci.manifests.chart import Rendering, Target
from ci.project import Project
from ci.results import Finding

CHECK = "varying"
NEVER = "Argo CD never deploys what was proven"
REMEDY = "Have it from a value or a Secret of its own, which are the same each time."
FUNCTIONS = re.compile(
    r"\b(rand(Alpha|Numeric|AlphaNum|Ascii|Bytes|Int)|shuffle|uuidv4|now|ago|bcrypt|htpasswd|encryptAES"
    r"|gen(PrivateKey|CA(WithKey)?|SelfSignedCert(WithKey)?|SignedCert(WithKey)?))\b"
)
"""Of Helm's templates, those by chance or by the clock (https://helm.sh/docs/chart_template_guide/function_list/)."""
TEMPLATES = ("templates/**/*", "charts/*/templates/**/*")


def may_be(target: Target) -> bool:
    """Tell whether it is worth another rendering: whether its chart or its values name such a function."""
    files = (file for pattern in TEMPLATES for file in target.chart.folder.glob(pattern) if file.is_file())
    texts = (file.read_text(encoding="utf-8", errors="replace") for file in files)
    packed = any((target.chart.folder / "charts").glob("*.tgz"))
    return packed or any(map(FUNCTIONS.search, (*texts, *(each.written for each in target.values))))


def rendered(project: Project, first: Sequence[Rendering], again: Sequence[Rendering]) -> Iterator[tuple[str, Finding]]:
    """Yield each object that differs, with the application's name; a protected environment takes no such.

    Args:
        project: The project.
        first: Without findings.
        again: Of the same targets.
    """
    protected = {each.name for each in project.environments if each.protected}
    for one, other in zip(first, again, strict=True):
        name, chart = one.target.name, one.target.chart.name
        severity: Literal["error", "warning"] = "error" if one.target.environment in protected else "warning"
        if len(one.objects) != len(other.objects):
            said = f"makes {len(one.objects)} objects, and then {len(other.objects)}: {NEVER}"
            yield name, Finding(CHECK, chart, 0, said, REMEDY, severity)
            continue
        for manifest, then in zip(one.objects, other.objects, strict=True):
            if path := next(manifests.differing(manifest.data, then.data), ()):
                said = f"{projects.dotted(path)}: is another one each time: {NEVER}"
                yield name, replace(manifest.finding(CHECK, path, said, REMEDY), severity=severity)
