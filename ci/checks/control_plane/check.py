"""Every application, as it would be deployed, on a control plane without nodes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagger

from ci.base.errors import UsageError
from ci.base.progress import note
from ci.base.text import visible
from ci.canary import declared, engine
from ci.canary.declared import Declared
from ci.checks.control_plane import container as containers
from ci.checks.control_plane import course, findings
from ci.checks.control_plane.container import Plane
from ci.checks.control_plane.findings import Refusal
from ci.checks.tools import Tools
from ci.manifests import documents, hooks
from ci.manifests.brought import Brought
from ci.manifests.chart import Rendering
from ci.manifests.documents import Document, Identity
from ci.manifests.series import Read
from ci.project import Project
from ci.results import CanaryCourse, Effect, Finding

MODEL = "InferenceService"


@dataclass(frozen=True)
class Playing:
    """What canaries are played with.

    Attributes:
        programs: Static executables: Prometheus, and promtool.
        declared: Traffic, and what healthy means; None where nothing is declared.
        read: What Prometheus makes of `course.expressions`.
    """

    programs: Sequence[Path]
    declared: Declared | None
    read: Read


@dataclass
class Said:
    """What the control plane says.

    Attributes:
        refused: What API server and controllers have against applications.
        courses: How their canaries went.
        found: What is wrong with these, or left out, each with its target's name.
    """

    refused: list[Refusal | Finding] = field(default_factory=list)
    courses: list[CanaryCourse] = field(default_factory=list)
    found: list[tuple[str, Finding]] = field(default_factory=list)


async def playing(tool: Tools, root: Path, project: Project, renderings: Sequence[Rendering]) -> Playing:
    """Return what the canaries of renderings are played with.

    Args:
        tool: Has the executables.
        root: The project's folder.
        project: The project.
        renderings: Without findings.
    """
    try:
        healthy = declared.load(root, project.paths.tree)
    except UsageError:  # which is a finding of the gates
        healthy = None
    async with engine.empty(tool.prometheus) as reader:
        read = await reader.read(course.expressions(renderings))
    return Playing([tool.prometheus, tool.promtool], healthy, read)


async def check(
    client: dagger.Client,
    plane: Plane,
    renderings: Sequence[Rendering],
    brought: Sequence[Brought],
    folder: Path,
    played_with: Playing | None = None,
) -> Said:
    """Apply renderings, and return what API server and controllers say of them.

    Args:
        client: The Dagger session.
        plane: What the control plane is made of.
        renderings: Without findings.
        brought: What the project's clusters have of their own.
        folder: One of the host that is made for it.
        played_with: What their canaries are played with; without it none is.
    """
    said = Said()
    ready = containers.ready(client, plane, folder)
    for number, group in enumerate(groups(renderings)):
        given = {**_surroundings(plane, group, brought), "applications": [_given(each) for each in group]}
        own = folder / str(number)
        own.mkdir()
        if played_with is None:
            told = await containers.told(client, ready, {**given, "courses": []}, own)
        else:
            played, left_out = course.applications(group, played_with.declared, played_with.read)
            samples = engine.open_metrics(each for one in played for each in one.samples(played_with.declared))
            container = containers.answering(client, ready, played_with.programs, samples, own)
            told = await containers.told(client, container, {**given, "courses": [each.given for each in played]}, own)
            said.found += left_out
            for came, finding in course.courses(played, told["courses"]):
                said.courses.append(came)
                said.found += [(came.application, finding)] if finding else []
        said.refused += findings.refusals(group, brought, told["complaints"])
    return said


async def change(
    client: dagger.Client,
    plane: Plane,
    renderings: Sequence[Rendering],
    before: Mapping[str, Sequence[Document] | None],
    options: Sequence[str],
    brought: Sequence[Brought],
    folder: Path,
) -> tuple[list[Refusal | Finding], list[Effect]]:
    """Apply renderings over what was there before; return what the change alone has against it, and what it does.

    Args:
        client: The Dagger session.
        plane: What the control plane is made of.
        renderings: Without findings.
        before: As `before.rendered` returned it.
        options: With which Argo CD applies all objects.
        brought: As for `check`.
        folder: As for `check`.
    """
    found: list[Refusal | Finding] = []
    effects = [effect for each in renderings if each.target.name not in before for effect in _first(each)]
    there = {name: objects for name, objects in before.items() if objects is not None}
    differing = [each for each in renderings if each.target.name in there and _differs(each, there[each.target.name])]
    if not differing:
        if not effects:
            note("no application is deployed otherwise than before")
        return found, effects
    ready = containers.ready(client, plane, folder)
    for number, group in enumerate(groups(differing, there)):
        applications = [{**_given(each), "before": there[each.target.name], "options": list(options)} for each in group]
        given = {**_surroundings(plane, group, brought), "applications": applications}
        own = folder / str(number)
        own.mkdir()
        told = await containers.change(client, ready, given, own)
        complaints = [_of_change(each, group, there) for each in told["complaints"]]
        found += findings.refusals(group, brought, complaints, findings.OVER_BEFORE)
        effects += map(_effect, told["effects"])
    return found, effects


def groups(
    renderings: Sequence[Rendering], before: Mapping[str, Sequence[Document]] | None = None
) -> list[list[Rendering]]:
    """Return renderings such that those of a group may be in one cluster: environments may be clusters of their own.

    No two have one object, and Istio injects alike for all.

    Args:
        renderings: All of them.
        before: By the target's name, objects that they have as well.
    """
    found: list[tuple[list[Rendering], set[Identity]]] = []
    for rendering in renderings:
        objects = [*(each.data for each in rendering.objects), *(before or {}).get(rendering.target.name, ())]
        own = {_identity(each, rendering.target.namespace) for each in objects if each.get("kind") != "Namespace"}
        cni = rendering.target.istio_cni
        there = next((group for group in found if group[0][0].target.istio_cni == cni and not group[1] & own), None)
        if there is None:
            there = ([], set())
            found.append(there)
        there[0].append(rendering)
        there[1].update(own)
    return [group for group, _ in found]


def _surroundings(plane: Plane, group: Sequence[Rendering], brought: Sequence[Brought]) -> dict[str, Any]:
    """Return what a group of renderings finds there."""
    stack = plane.with_cni if group[0].target.istio_cni else ()
    return {"stack": list(stack), "clusters": [each.document for each in brought]}


def _given(rendering: Rendering) -> dict[str, Any]:
    target = rendering.target
    objects = [each.data for each in rendering.objects]
    return {"name": target.name, "namespace": target.namespace, "objects": objects}


def _differs(rendering: Rendering, before: Sequence[Document]) -> bool:
    """Tell whether an application is another one than before, but for its hooks and the order of its objects."""
    now = [each.data for each in rendering.objects if not hooks.is_hook(each.data)]
    return sorted(before, key=documents.identity) != sorted(now, key=documents.identity)


def _of_change(
    told: Mapping[str, Any], renderings: Sequence[Rendering], before: Mapping[str, Sequence[Document]]
) -> Mapping[str, Any]:
    """Return a complaint, about the value that is another one than before."""
    rendering = next(each for each in renderings if each.target.name == told["application"])
    namespace, after = rendering.target.namespace, rendering.objects[told["object"]].data
    own = _identity(after, namespace)
    was = next((each for each in before[rendering.target.name] if _identity(each, namespace) == own), None)
    return findings.of_change(told, was, after)


def _first(rendering: Rendering) -> Iterator[Effect]:
    for each in rendering.objects:
        if each.kind == MODEL:
            yield Effect(rendering.target.name, visible(each.name), "first")


def _effect(told: Mapping[str, Any]) -> Effect:
    model = told["name"] if told["kind"] == MODEL else f"{told['kind']} {told['name']}"
    return Effect(told["application"], visible(model), told["outcome"])


def _identity(document: Mapping[str, Any], namespace: str) -> Identity:
    group, kind, own, name = documents.identity(document)
    return group, kind, own or namespace, name
