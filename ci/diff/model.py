"""The difference of two commits as plain data; every view (Markdown, JSON, HTML) is made from it.

No text in it holds a secret, a line break or a character that cannot be seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from ci import results

Risk = Literal["structure", "canary", "deleted", "rbac", "rest"]
RISKS: Mapping[Risk, str] = {
    "structure": "CRDs and selectors",
    "canary": "Canary triggers",
    "deleted": "Deleted",
    "rbac": "RBAC",
    "rest": "Everything else",
}
"""Each risk's heading, the greatest first; an object counts where it comes first."""

BY_CHART = "the new version of the chart does that to every model, whatever its values"

BECOMES = {
    "added": "appears",
    "deleted": "goes",
    "unreadable": "is shown whole, as if it were new",
}
"""What is said of an application that comes or goes, or that could not be read before."""


@dataclass(frozen=True)
class Field:
    """A field that changes what the pods are made from.

    Attributes:
        path: Where it is in the manifest.
        before: What it was, shortened; empty where there was none.
        after: What it will be.
        why: How it gets into the pod template.
    """

    path: str
    before: str
    after: str
    why: str


@dataclass(frozen=True)
class Effect(results.Effect):
    """What the change does to the pods of one model, and why: as the rendered text has it, asking no control plane.

    Attributes:
        fields: What makes it do so.
        innocent: Only labels and annotations do: model, image and settings stay the same.
        by_chart: Another version of the chart makes other pods of the same values, so that no model is spared.
    """

    fields: tuple[Field, ...] = ()
    innocent: bool = False
    by_chart: bool = False


@dataclass(frozen=True)
class ObjectChange:
    """One object that is not the same.

    Attributes:
        place: Environment and application, as ENV/NAME, or the folder of plain manifests.
        kind: The object's kind.
        group: Its API group.
        namespace: Its namespace; empty where it has none.
        name: Its name; the hash of a generated one left out.
        change: What becomes of it.
        risk: The greatest risk that it has.
        fields: Paths of the fields that differ; none where the object comes or goes.
        diff: Lines of the unified diff.
        which: Which it is of several that nothing in them tells apart; empty where it is the only one.
    """

    place: str
    kind: str
    group: str
    namespace: str
    name: str
    change: Literal["added", "changed", "deleted"]
    risk: Risk
    fields: tuple[str, ...]
    diff: tuple[str, ...]
    which: str = ""


@dataclass(frozen=True)
class FileChange:
    """One file that is not the same, and that no object above shows.

    Attributes:
        path: From the project's folder.
        change: What becomes of it.
        said: More of it: where it was, its mode, why there is no diff; may be empty.
        diff: Lines of the unified diff; none where it is not shown.
    """

    path: str
    change: Literal["added", "changed", "deleted", "renamed"]
    said: str
    diff: tuple[str, ...] = ()


@dataclass(frozen=True)
class ApplicationChange:
    """An Argo CD Application that comes or goes, or of which only one side can be told.

    Attributes:
        place: As ENV/NAME.
        change: What becomes of it: "unreadable" where its file could not be read before, so that all of it is shown.
        said: Why it could not be read before; empty where it could, or was not there.
    """

    place: str
    change: Literal["added", "deleted", "unreadable"]
    said: str = ""


@dataclass(frozen=True)
class Difference:
    """What becomes of the clusters when head is merged.

    Attributes:
        base: The commit that the change started from.
        head: The commit that has the change.
        environments: Which were rendered.
        applications: Those that come or go, or could not be read before.
        effects: Models whose pods may be replaced, one each.
        objects: By risk, the greatest first.
        files: By path: whatever else differs.
        noise: How many more objects differ in hashes, order or the chart's version label alone.
    """

    base: str
    head: str
    environments: tuple[str, ...]
    applications: tuple[ApplicationChange, ...]
    effects: tuple[Effect, ...]
    objects: tuple[ObjectChange, ...]
    files: tuple[FileChange, ...]
    noise: int

    @property
    def nothing(self) -> bool:
        """Whether nothing at all differs."""
        return not (self.applications or self.objects or self.files or self.noise)
