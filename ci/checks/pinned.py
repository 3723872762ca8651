"""What may become something else under the same name: in protected environments an error, on the way there a warning.

`promote` takes no set without digests there, and pins the chart by its commit; a set without them may run in the
environments before, where it is told of in the first that lacks them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ci.manifests import places, runtimes
from ci.manifests.chart import Rendering, Target
from ci.manifests.manifests import Manifest, mapping
from ci.project import Project
from ci.results import Finding
from ci.tree import git, tree
from ci.tree.scalars import KeyPath
from ci.tree.tree import Application, Key

CHECK = "pinned"


def findings(
    project: Project, judged: Sequence[Target], applications: Mapping[Key, Application | None]
) -> list[Finding]:
    """Return what an application lacks of commit and digests.

    One that lacks a digest in several environments has the warning in the first of them, from where it moves to the
    others; a protected one has errors of its own.

    Args:
        project: The project.
        judged: The applications.
        applications: All of the project, as the work tree has them, in the environments' order.
    """
    wanted = {target.name for target in judged}
    told: set[tuple[str, str]] = set()
    found = []
    for (environment, name), application in applications.items():
        guarded = project.guarded(environment)
        if application is None:
            continue
        if application.place.protected:
            found += _lacking(application) if f"{environment}/{name}" in wanted else []
            continue
        if not guarded:
            continue
        text = application.content.decode(errors="replace")
        for each in tree.unpinned(application.release):
            if (name, each.component) in told:
                continue
            told.add((name, each.component))
            line = _line(text, each.key)
            said = f"{tree.dotted(each.key)}: {each.said}: {guarded[0]} takes no such set"
            remedy = f"{each.bump(environment, name)}; {each.how} prints the digest"
            if f"{environment}/{name}" in wanted:
                found.append(Finding(CHECK, application.file, line, said, remedy, "warning"))
    return found


def beside(project: Project, renderings: Sequence[Rendering]) -> Iterator[tuple[str, Finding]]:
    """Yield each image beside a model server that has no digest, with its application's name.

    Args:
        project: The project.
        renderings: Without findings.
    """
    for rendering in renderings:
        environment = rendering.target.environment
        if environment not in project.names:
            continue
        guarded = project.guarded(environment)
        protected = project.environment(environment).protected
        if not (protected or guarded):
            continue
        said = (
            f"and {environment} is protected"
            if protected
            else f"and a tag can be moved: {guarded[0]} takes no such set"
        )
        for manifest in rendering.objects:
            for path, image in _images_beside(manifest):
                remedy = f"NAME@sha256:DIGEST; crane digest {image} prints the digest"
                found = manifest.finding(CHECK, path, f"{image} is not pinned, {said}", remedy)
                yield rendering.target.name, found if protected else replace(found, severity="warning")


def _images_beside(manifest: Manifest) -> Iterator[tuple[places.Path, str]]:
    if manifest.kind != "InferenceService":
        return
    for key, index, container in runtimes.beside(mapping(manifest.dig("spec", "predictor"))):
        image = str(container.get("image") or "")
        if image and "@" not in image:
            yield ("spec", "predictor", key, index, "image"), image


def _lacking(application: Application) -> list[Finding]:
    """Return an error for all that a protected environment's application may become without a change of its file."""
    text = application.content.decode(errors="replace")
    revision, first = application.release[tree.CHART[0]], application.project.names[0]
    found = []
    if not git.COMMIT.fullmatch(revision):
        said = f"chart.revision: {revision} is no commit, and {application.environment} is protected"
        found.append(Finding(CHECK, application.file, _line(text, tree.CHART[0]), said, f"git rev-parse {revision}"))
    for each in tree.unpinned(application.release):
        said = f"{tree.dotted(each.key)}: {each.said}, and {application.environment} is protected"
        remedy = f"{each.bump(first, application.name)}, and promote that; {each.how} prints the digest"
        found.append(Finding(CHECK, application.file, _line(text, each.key), said, remedy))
    return found


def _line(text: str, key: KeyPath) -> int:
    return places.values_line(text, key) or places.values_line(text, key[:1])
