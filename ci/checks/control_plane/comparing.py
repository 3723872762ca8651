"""Every application, as it would be deployed, over what was there before a change."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagger

from ci.base.progress import note
from ci.base.text import visible
from ci.checks.control_plane import container as containers
from ci.checks.control_plane import findings, groups
from ci.checks.control_plane.container import Plane
from ci.checks.control_plane.findings import Refusal
from ci.manifests import documents, hooks
from ci.manifests.brought import Brought
from ci.manifests.chart import Rendering
from ci.manifests.documents import Document
from ci.results import Effect, Finding

MODEL = "InferenceService"


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
    for number, group in enumerate(groups.groups(differing, there)):
        applications = [
            {**groups.given(each), "before": there[each.target.name], "options": list(options)} for each in group
        ]
        given = {**groups.surroundings(plane, group, brought), "applications": applications}
        own = folder / str(number)
        own.mkdir()
        told = await containers.change(client, ready, given, own)
        complaints = [_of_change(each, group, there) for each in told["complaints"]]
        found += findings.refusals(group, brought, complaints, over_before=True)
        effects += map(_effect, told["effects"])
    return found, effects


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
    own = groups.identity(after, namespace)
    was = next((each for each in before[rendering.target.name] if groups.identity(each, namespace) == own), None)
    return findings.of_change(told, was, after)


def _first(rendering: Rendering) -> Iterator[Effect]:
    for each in rendering.objects:
        if each.kind == MODEL:
            yield Effect(rendering.target.name, visible(each.name), "first")


def _effect(told: Mapping[str, Any]) -> Effect:
    model = told["name"] if told["kind"] == MODEL else f"{told['kind']} {told['name']}"
    return Effect(told["application"], visible(model), told["outcome"])
