"""`publish`: the chart to a registry, and a GitHub release with what proves it."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ci.base import settings
from ci.base.errors import UsageError
from ci.base.progress import note, step
from ci.commands import here, writing
from ci.commands.options import PublicKeyOption
from ci.commands.runner import run_async
from ci.supply import tools
from ci.tree import git


def publish(
    registry: Annotated[
        str, typer.Option("--registry", metavar="URL", help="oci://HOST/PATH; http://HOST/PATH where it has no TLS.")
    ],
    tag: Annotated[
        str, typer.Option("--tag", metavar="TAG", help="The tag that started this: refused if it is another version's.")
    ] = "",
    release: Annotated[
        bool, typer.Option("--release", help="Publish a release of the remote's GitHub repository, too.")
    ] = False,
    asset: Annotated[
        list[Path] | None,
        typer.Option("--asset", metavar="FILE", exists=True, dir_okay=False, help="A file of it; may be repeated."),
    ] = None,
    evidence: Annotated[
        Path | None,
        typer.Option("--evidence", metavar="FILE", help="Refuse a chart that is not the one in there; an asset, too."),
    ] = None,
    public_key: PublicKeyOption = None,
    remote: writing.RemoteOption = "origin",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Package and check it; publish nothing.")] = False,
) -> None:
    """Push the chart of the commit that is checked out, and release it as vVERSION.

    What is published never changes: another chart under the same version is refused, the same one is done already.
    """
    wanted = _Wanted(registry, tag, release, asset or [], evidence, public_key or [])
    run_async(_publish, wanted, here.folder(), remote, dry_run)


@dataclass(frozen=True)
class _Wanted:
    registry: str
    tag: str
    release: bool
    assets: list[Path]
    evidence: Path | None
    public_keys: list[Path]


async def _publish(wanted: _Wanted, repo: Path, remote: str, dry_run: bool) -> None:
    from ci.evidence import verify  # takes a moment to load, and wrong use is told at once
    from ci.release import publish as publishing
    from ci.tree.forge import github

    registry = publishing.registry(wanted.registry)
    helm = tools.installed("helm")
    repository = await git.opened(repo)
    commit = await repository.commit_of("HEAD")
    with tempfile.TemporaryDirectory() as work:
        packaged = await publishing.package(repository, helm, commit, Path(work))
        if wanted.tag not in ("", packaged.tag):
            raise UsageError(
                f"--tag {wanted.tag}: the chart at {commit[:12]} is {packaged.tag}",
                fix="Raise version in Chart.yaml before the tag is made.",
            )
        if wanted.evidence is not None:
            if not wanted.public_keys:
                raise UsageError("--evidence: nothing to verify it with", fix="--public-key FILE")
            publishing.require_tested(packaged, verify.load(wanted.evidence, wanted.public_keys).statement)
        if dry_run:
            note(f"{packaged.archive.name} of {commit[:12]} may be published; nothing was (--dry-run)")
            return
        hub, released = None, None
        if wanted.release:
            hub = github.of_remote(await git.remote_url(repository, remote), writing.token(), "--release")
            released = await hub.released(packaged.tag, commit, packaged.archive)
        credentials = settings.secret(settings.REGISTRY_PASSWORD, user=settings.registry_user())
        reference = await publishing.published(helm, packaged, registry, credentials)
        if reference is not None:
            note(f"{registry} has this very {packaged.archive.name} already")
        else:
            with step(f"push {packaged.archive.name}"):
                reference = await publishing.push(helm, packaged, registry, credentials)
        if released is not None:
            note(f"{packaged.tag} is published already")
            typer.echo(released)
            return
        typer.echo(reference)
        if hub is not None:
            files = [packaged.archive, *([wanted.evidence] if wanted.evidence else []), *wanted.assets]
            notes = f"`{reference}`\n\nfrom {commit}\n"
            typer.echo(await hub.release(packaged.tag, commit, notes, files))
