"""Models and images that whoever runs this gives, in place of what stores and registries have."""

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread

from ci.applications.subjects import Subject
from ci.base.errors import UnnamedError, UsageError
from ci.base.text import counted
from ci.models import digests, stores
from ci.supply import foreign
from ci.supply.foreign import Name
from ci.supply.supply import Supply
from ci.tree import tree
from ci.tree.tree import Application

LATEST = "latest"
"""Docker's own word for no tag."""


@dataclass(frozen=True)
class Given:
    """What is here.

    Attributes:
        mirrors: Beginnings of URIs to folders with the same files.
        models: Folder of `--models`; None where there is none.
        images: Those of `--image`, by the name that a set has.
    """

    mirrors: Mapping[str, Path]
    models: Path | None = None
    images: Mapping[Name, foreign.Served] = field(default_factory=dict)

    async def of_champion(self, champion: Application) -> "Given":
        """Return all of it but what was just made, which is the candidate's: only the champion's own digest tells.

        An image without a digest is nowhere else to be had: where `--image` names that very one, it is the champion's.
        """
        models = self.models
        if models is not None and not await anyio.to_thread.run_sync(_has, models, champion):
            models = None
        return dataclasses.replace(self, models=models, images={} if champion.release[tree.IMAGE[2]] else self.images)

    def image(self, application: Application) -> foreign.Served | None:
        """Return an application's image where it is one of `--image`."""
        return self.images.get(_image(application)) if self.images else None


def name(image: str) -> Name:
    """Return the name of an image of the Docker daemon.

    Args:
        image: As `--image` has it.

    Raises:
        UsageError: It is not one.
    """
    try:
        found = foreign.parse(image)
    except UsageError as error:
        raise UsageError(f"--image {error.message}", fix="docker image ls  # has REPOSITORY and TAG") from None
    if found.digest:
        raise UsageError(
            f"--image {image}: a digest names what a registry has, not what was built here", fix="REPOSITORY:TAG alone"
        )
    return dataclasses.replace(found, tag=found.tag or LATEST)


async def images(names: Sequence[str], subjects: Sequence[Subject], supply: Supply) -> dict[Name, foreign.Served]:
    """Have the nodes get the images of `--image`.

    Args:
        names: As docker knows them.
        subjects: What is to be proven; each image has to be a candidate's, or a champion's that names no digest.
        supply: With the local registry.

    Raises:
        UsageError: No set's image has that name, the daemon has none, or it is for another platform.
    """
    asked = {name(image): image for image in names}
    run = {_image(each.candidate.application): each.name for each in subjects} if asked else {}
    for each in subjects if asked else ():
        with contextlib.suppress(UsageError):  # of a champion, no image at all is told later
            if each.champion is not None and not each.champion.application.release[tree.IMAGE[2]]:
                run.setdefault(_image(each.champion.application), f"{each.name}, before")
    for key, image in asked.items():
        if key not in run:
            known = ", ".join(f"{_shown(each)} ({place})" for each, place in run.items()) or "none"
            raise UsageError(
                f"--image {image}: no application of the change runs it",
                fix=f"docker tag it as what is in the change: {known}",
            )
    return {key: await foreign.built(supply, image, f"{key.host}/{key.repository}") for key, image in asked.items()}


def require_model(models: Path, subjects: Iterable[Subject]) -> None:
    """Refuse a folder of `--models` that has no model of anything that is proven: it is laid out in another way.

    Raises:
        UsageError: It has none.
    """
    versions = [each for subject in subjects for each in (subject.candidate, subject.champion) if each is not None]
    uris = [uri for each in versions if (uri := each.application.release["model", "storageUri"])]
    places = []
    for uri in uris:
        with contextlib.suppress(UnnamedError):  # told with the application that has it
            places += stores.mirrored(uri, stores.everything(models))
    if any(place.exists() or place.is_symlink() for place in places):
        return
    if not places:
        raise UsageError(f"--models {models}: no application of the change has a model in a store")
    first, more = places[0], f", nor {counted(len(places) - 1, 'other')}" if len(places) > 1 else ""
    raise UsageError(
        f"--models {models}: no model of the change is in it: there is no {first}{more}",
        fix="Lay it out by what stands after :// of each storageUri (docs/models.md).",
    )


def _has(models: Path, application: Application) -> bool:
    """Tell whether a folder of `--models` has the model of a set, which names it by its digest."""
    uri, digest = application.release["model", "storageUri"], application.release[tree.MODEL_DIGEST]
    places = stores.mirrored(uri, stores.everything(models)) if digest else []
    return any(place.exists() and digests.of_path(place, hub=stores.hub(uri)) == digest for place in places)


def _image(application: Application) -> Name:
    return dataclasses.replace(foreign.parse(tree.image(application.release)), digest="")


def _shown(image: Name) -> str:
    return f"{image.host}/{image.repository}:{image.tag}"
