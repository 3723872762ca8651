"""A set as the cluster under test gets it: as its environment has it, but for what the project file lets it change."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ci.applications import deployable
from ci.applications.given import Given
from ci.applications.subjects import Version
from ci.base.errors import CheckFailedError, CommandError, UnnamedError, UsageError
from ci.base.text import one_line
from ci.cluster import model_store
from ci.manifests import documents, overlay
from ci.manifests.documents import Document
from ci.manifests.values import BARE, merged, read
from ci.models import storage
from ci.models.storage import Fetched
from ci.project import Cluster
from ci.results import Served
from ci.supply import foreign
from ci.supply.supply import Supply
from ci.tree import dependencies, render, tree
from ci.tree.git import Repository
from ci.tree.tree import Application, dotted


class UndeployableError(UsageError):
    """What the project file lets the cluster under test change does not fit a set's own values."""


@dataclass(frozen=True)
class Deployment:
    """A set with all that it takes to deploy it.

    Attributes:
        application: The application, with that set.
        chart: Its chart.
        files: Helm values files, the stronger ones later.
        values: Helm values over them.
        model: Its model; None where the image brings it along.
        served: What is served of it.
        overlay: What the cluster under test changes, a line each.
    """

    application: Application
    chart: Path
    files: tuple[Path, ...]
    values: Mapping[str, Any]
    model: Fetched | None
    served: Served
    overlay: tuple[str, ...]

    @property
    def version(self) -> str:
        """The set in a few words: its model's version, or where the image brings it along, the image's tag."""
        release = self.application.release
        return str(release["model", "version"] or release["image", "tag"])

    @property
    def uri(self) -> str | None:
        """Where its model is in the cluster's own store; None where the image brings it along."""
        return self.values["exampleModel"]["storageUri"] if self.model is not None else None

    @property
    def effective(self) -> Mapping[str, Any]:
        """What Helm makes of all its values."""
        files = [loaded(file) for file in (self.chart / "values.yaml", *self.files)]
        return functools.reduce(merged, [*files, self.values])

    @property
    def bare(self) -> dict[str, Any]:
        """The values of a model server alone."""
        return merged(self.values, BARE)


async def prepared(
    repository: Repository,
    helm: Path,
    version: Version,
    supply: Supply,
    given: Given,
    work: Path,
    existing: Cluster | None = None,
) -> Deployment:
    """Get all that a set needs, before there is a cluster.

    Args:
        repository: Has the set's chart.
        helm: The executable.
        version: The set.
        supply: Has what models and images are got with.
        given: What is here, in place of what stores and registries have.
        work: An empty folder, kept as long as the result.
        existing: What the project file says of a cluster that is there; a throw-away one by default.

    Raises:
        CIError: The model or the image cannot be had, or is another than the set says; one line says which and why.
    """
    application = version.application
    chart = await dependencies.laid_out(repository, helm, version.revision, application.project.paths.chart, work)
    value_files = await render.values_files(repository, version.revision, application, version.source, work)
    own = render.values(application)
    layers = [own, *(loaded(file) for file in (*reversed(value_files), chart / "values.yaml"))]
    try:
        if existing is None:
            over, lines = overlay.throwaway(application.project.throwaway, application.name, layers)
        else:
            over, lines = overlay.existing(existing, application.name, layers)
    except UsageError as error:
        raise UndeployableError(f"{application.file}: {error.message}") from error
    model = await _model(application, supply, given)
    image, digest, built = await _image(application, supply, given)
    fixed: dict[str, Any] = {"image": image}
    if model is not None:
        fixed |= {"storageUri": store_uri(application.name, model), "digest": model.digest}
    served = Served(
        {dotted(key): value for key, value in application.release.items()}, model.digest if model else "", digest, built
    )
    values = merged(merged(own, over), {"exampleModel": fixed})
    return Deployment(application, chart, tuple(value_files), values, model, served, tuple(lines))


async def rendered(deployment: Deployment, helm: Path) -> list[Document]:
    """Return the objects of a deployment.

    Raises:
        CheckFailedError: Helm refuses it; what the cluster under test changes is named.
    """
    application = deployment.application
    try:
        text = await render.template(helm, application, deployment.chart, deployment.files, deployment.values)
    except CommandError as error:
        said = _cause(error.stderr) or error.message
        changed = "; ".join(filter(None, map(overlay.key_of, deployment.overlay)))
        raise CheckFailedError(
            f"{application.file}: the chart does not take it on this cluster: {one_line(said)}",
            fix=f"Look at what the project file changes there: {changed}" if changed else None,
            detail=error.detail,
        ) from error
    return documents.parse(text, application.file)


async def bring(documents: Sequence[Document], application: Application, supply: Supply) -> None:
    """Have the nodes of a throw-away cluster get what runs beside an application's model server.

    Raises:
        CIError: An image cannot be had; one line says which and why.
    """
    for image in deployable.beside(documents):
        try:
            if await _pinned(image, supply) is None:
                await foreign.published(supply, image)
        except UsageError as error:
            raise UnnamedError(
                f"{application.file}: beside the model server: {error.message}", fix=error.fix
            ) from error


def _cause(printed: str) -> str:
    """Return what Helm says is wrong; where a line only announces that, with what is listed below it."""
    lines = printed.splitlines()
    at = next((number for number, line in enumerate(lines) if line.startswith("Error: ")), len(lines))
    listed = (line.removeprefix("- ") for line in lines[at + 1 :] if line.startswith("- "))
    return " ".join([*lines[at : at + 1], "; ".join(listed)]).strip()


def store_uri(name: str, model: Fetched) -> str:
    """Return where a model is in the cluster's own store."""
    return model_store.uri(name, model.digest.partition(":")[2])


def loaded(file: Path) -> dict[str, Any]:
    """Return the values of a file; none where there is no such file."""
    return dict(read(file.read_text(errors="replace"), file.name)) if file.is_file() else {}


async def _model(application: Application, supply: Supply, given: Given) -> Fetched | None:
    uri = application.release["model", "storageUri"]
    if not uri:
        return None
    digest = application.release[tree.MODEL_DIGEST] or None
    return await storage.fetched(uri, digest, supply, given.mirrors, given.models)


async def _image(application: Application, supply: Supply, given: Given) -> tuple[str, str, bool]:
    """Return the image as pods name it, its digest, and whether it was built here under a published name."""
    if (own := given.image(application)) is not None:
        return own.reference, own.digest, True
    repository, tag, digest = (application.release[key] for key in tree.IMAGE)
    reference = tree.image(application.release)
    try:
        foreign.parse(reference)
    except UsageError as error:
        raise UnnamedError(f"{application.file}: {error.message}", fix=error.fix) from error
    if (held := await _pinned(f"{repository}:{tag}", supply)) is not None:
        if supply.way == "source":  # the published bytes are not to be had: what is built stands for them, and says so
            return f"{repository}:{tag}", held, True
        if digest and digest != held:
            raise UnnamedError(
                f"{application.file}: image.digest {digest}, but {repository}:{tag} is {held}",
                fix=f"python ci/main.py bump image --env {application.environment} --to {tag}@{held}",
            )
        return f"{repository}:{tag}@{held}", held, False
    if not digest:
        (pin,) = (each for each in tree.unpinned(application.release) if each.key == tree.IMAGE[2])
        raise UnnamedError(
            f"{application.file}: {application.name} has {reference} without a digest, which may be another tomorrow",
            fix=f"pin it: {pin.bump(application.environment, application.name)}, the digest by {pin.how}; "
            f"or serve the one of the local Docker daemon: --image {reference}",
        )
    found = await foreign.published(supply, reference)
    return found.reference, found.digest, False


async def _pinned(reference: str, supply: Supply) -> str | None:
    """Return the digest of an image that is one of the tool's own, with what nodes get; None of any other."""
    repository, _, tag = reference.partition("@")[0].rpartition(":")
    if repository not in supply.pins.images or supply.pins.ref(repository) != f"{repository}:{tag}":
        return None
    await supply.fetch([repository])
    return await supply.registry.digest(supply.image(repository)) or ""
