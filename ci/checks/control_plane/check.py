"""Every application, as it would be deployed, on a control plane without nodes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagger

from ci.canary import engine
from ci.checks.control_plane import container as containers
from ci.checks.control_plane import course, findings, groups
from ci.checks.control_plane.container import Plane
from ci.checks.control_plane.course import Playing
from ci.checks.control_plane.findings import Refusal
from ci.manifests.brought import Brought
from ci.manifests.chart import Rendering
from ci.results import CanaryCourse, Finding


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
    for number, group in enumerate(groups.groups(renderings)):
        given = {**groups.surroundings(plane, group, brought), "applications": [groups.given(each) for each in group]}
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
