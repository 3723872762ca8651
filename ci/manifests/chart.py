"""What Helm is given for one application, and where each part of it stands."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ci.manifests import manifests, places, values
from ci.manifests.manifests import Manifest
from ci.project import dotted
from ci.results import Finding

DEFAULTS = "defaults"
"""The target that is the chart's own values alone."""
PAST = re.compile(r"[0-9a-f]{12}:")
"""How findings name a file that a commit has, and that no change of the work tree corrects."""


def environment_values(chart: Path, environment: str) -> list[Path]:
    """Return the file of values that a chart has for an environment; none where it has none.

    Args:
        chart: The chart's folder.
        environment: The environment's name.
    """
    file = chart / "values" / f"{environment}.yaml"
    return [file] if file.is_file() else []


@dataclass(frozen=True)
class Chart:
    """A chart's files.

    Attributes:
        folder: Where they are on this machine.
        name: The folder as findings name it: from the project's, and behind "COMMIT:" where git has it.
        parts: The charts that it depends on, those whose files the repository has, by where Helm has each in this one.
    """

    folder: Path
    name: str
    parts: Mapping[str, "Chart"] = field(default_factory=dict, compare=False)

    @cached_property
    def templates(self) -> Mapping[str, str]:
        """Text of each template by its path in the chart."""
        return {
            str(file.relative_to(self.folder)): file.read_text(errors="replace")
            for file in sorted((self.folder / "templates").rglob("*"))
            if file.is_file()
        }

    def found(self, path: str) -> tuple[str, str]:
        """Return how findings name a template, and its text; empty where there is none to look into.

        Args:
            path: In the chart, as Helm has it: a part's is in `charts/`, under the name that it has there.
        """
        for place, part in self.parts.items():
            if path.startswith(f"{place}/"):
                return part.found(path.removeprefix(f"{place}/"))
        return f"{self.name}/{path}", self.templates.get(path, "")


@dataclass(frozen=True)
class Values:
    """Helm values, and the file that they come from.

    Attributes:
        file: As findings name it.
        text: The file.
        given: What Helm gets of it; the file itself by default.
        top: Where in the file the values begin.
        elsewhere: Where in the file it is that a value comes from, for those that stand outside of `top`.
    """

    file: str
    text: str
    given: str | None = None
    top: places.Path = ()
    elsewhere: Mapping[places.Path, places.Path] = field(default_factory=dict)

    @property
    def written(self) -> str:
        """What Helm gets."""
        return self.text if self.given is None else self.given

    def line(self, path: places.Path) -> int:
        """Return the line of a value, or of the null that takes it away; 0 where the file says nothing of it."""
        return places.counting_line(self.text, self.elsewhere.get(tuple(path), (*self.top, *path)))


@dataclass(frozen=True)
class Target:
    """One rendering that is judged: an application in an environment, or the chart's own values.

    Attributes:
        environment: Its name; `DEFAULTS` for the chart's own values.
        application: Its name; None for the chart's own values.
        release: The Helm release.
        namespace: Where it runs.
        chart: The chart.
        values: From the strongest to the chart's own, the last.
        kube_version: The version of Kubernetes that the chart is told of.
        api_versions: APIs that it is told of beside Kubernetes' own.
        istio_cni: Whether Istio has its CNI plugin where it runs.
        asked_for: Whether a person named it.
    """

    environment: str
    application: str | None
    release: str
    namespace: str
    chart: Chart
    values: Sequence[Values]
    kube_version: str
    api_versions: Sequence[str] = ()
    istio_cni: bool = False
    asked_for: bool = True

    @property
    def name(self) -> str:
        """What reports call it: ENV/APP."""
        return self.environment if self.application is None else f"{self.environment}/{self.application}"

    @property
    def layers(self) -> Sequence[Mapping[str, Any]]:
        """What each file of values has, the strongest first.

        Raises:
            UsageError: A file is not YAML.
        """
        return [_loaded(each.written, each.file) for each in self.values]

    def value(self, path: places.Path) -> Any:
        """Return what Helm makes of a value of all files; None where none has it.

        Raises:
            UsageError: A file is not YAML.
        """
        found: Any = self._effective
        for part in path:
            found = found.get(part) if isinstance(found, Mapping) else None
        return found

    def place(self, path: places.Path) -> tuple[str, int]:
        """Return the file whose value at a path counts, and its line; line 0 where no file has it."""
        found = ((each.file, each.line(path)) for each in self.values)
        return next(((file, line) for file, line in found if line), (self.values[0].file, 0))

    def origin(self, path: places.Path, value: Any) -> manifests.Own | None:
        """Return the value that a rendered one comes from; None where it is the chart's, or not known.

        It has the same last key and the same value; where several do, the most keys around it in common; and of those
        the same places in their lists, for what stands there twice is a mistake of the second.

        Args:
            path: Of the rendered value, in its object; indices are counted from the end.
            value: The rendered value.
        """
        alike: dict[int, list[tuple[str | int, ...]]] = {}
        for own, given in places.walk(self._effective) if value is not None and len(self.values) > 1 else ():
            shared = places.shared(own, path)
            if shared and (given == value or str(given) == str(value)):  # a template may write a number as text
                alike.setdefault(shared, []).append(tuple(own))
        if not alike:
            return None
        nearest = alike[max(alike)]
        if len(nearest) > 1:
            there = places.indices(path)
            nearest = [own for own in nearest if places.indices(places.from_end(self._effective, own)) == there]
        if len(nearest) != 1:
            return None
        file, line = self.place(nearest[0])
        if not line or file == self.values[-1].file:
            return None
        return manifests.Own(dotted(nearest[0]), file, line)

    @cached_property
    def _effective(self) -> Mapping[str, Any]:
        return functools.reduce(values.merged, reversed(self.layers))


@functools.lru_cache(maxsize=64)
def _loaded(text: str, file: str) -> Mapping[str, Any]:
    """Return the values that a file has; applications share most of theirs."""
    return values.read(text, file)


@dataclass(frozen=True)
class Rendering:
    """What Helm makes of a target.

    Attributes:
        target: The target.
        text: What Helm printed; empty where it failed.
        findings: Why it failed.
    """

    target: Target
    text: str
    findings: tuple[Finding, ...] = ()

    @cached_property
    def objects(self) -> Sequence[Manifest]:
        """The objects.

        Raises:
            CheckFailedError: One is YAML to Helm but cannot be read here.
        """
        chart = self.target.chart
        parsed = manifests.parse(self.text, chart.templates, chart.name, self.target.origin)
        return [self._placed(each) for each in parsed] if chart.parts else parsed

    def _placed(self, manifest: Manifest) -> Manifest:
        file, template = self.target.chart.found(manifest.file.removeprefix(f"{self.target.chart.name}/"))
        return replace(manifest, file=file, template=template)
