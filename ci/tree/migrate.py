"""A tree of the form before the project file, brought to today's: what stands there is said there once."""

import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
import tomlkit.items

from ci import project as projects
from ci.base import duration, files
from ci.base.errors import UsageError
from ci.manifests import documents, kubernetes_yaml
from ci.project import FILE, RESERVED, Paths, Project
from ci.tree import scalars

NAMESPACE, PROMOTION, SOAK = "namespace", "promotion", "soak"
OLD_ORDER = ("dev", "staging", "prod")
"""The environments that every tree had, in their order."""
OLD_PROTECTED = "prod"
"""The one that only proven sets reached, and whose Applications left what they served."""
OLD_GOLDEN = "tests/golden"
OLD_SET, OLD_PROJECT = "argocd-applications.yaml", "appproject.yaml"
GATES, ANSWERS = "gates.yaml", "answers"
VALUES = "values.yaml"
PLACEHOLDER = "https://github.com/OWNER/NAME.git"


@dataclass
class Migration:
    """What becomes of a project's files.

    Attributes:
        contents: File to its new content, by its path from the project file's folder.
        gone: Files that are not there any more.
        told: A line for each thing that changes.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def write(self, folder: Path) -> None:
        """Carry it out: what is new is there, whole, before anything is gone."""
        files.write_all({folder / path: content for path, content in self.contents.items()})
        for path in self.gone:
            (folder / path).unlink()


@dataclass(frozen=True)
class _Said:
    """A value, and the file and line that say it."""

    value: str
    place: str


@dataclass
class _Place:
    """What the files of an environment say of it."""

    said: dict[str, _Said] = field(default_factory=dict)

    def add(self, key: str, said: _Said) -> None:
        """Take a value.

        Raises:
            UsageError: Another file says another one.
        """
        other = self.said.setdefault(key, said)
        if other.value != said.value and not (key == SOAK and _same_time(other.value, said.value)):
            raise UsageError(
                f"{said.place}: {key} is {said.value}, but {other.value} in {other.place}",
                fix=f"An environment has one {key}: write the same into both files, or make it two environments.",
            )


def plan(folder: Path, order: Sequence[str], origin: str | None) -> Migration:
    """Return what is to be done to a project's files; nothing is written.

    Args:
        folder: The folder that has the project file, or will have it.
        order: The environments in the order of promotion, where there is no project file yet; may be empty.
        origin: Address of the repository's remote, where it has one.

    Raises:
        UsageError: Files contradict each other, or say what has no place in the new form.
    """
    known = projects.load(folder) if (folder / FILE).is_file() else None
    paths = known.paths if known else Paths()
    migration = Migration()
    places: dict[str, _Place] = {}
    for file in _applications(folder / paths.tree):
        _application(folder, file, places.setdefault(file.parent.name, _Place()), migration)
    content = None
    if known is not None:
        content = _completed(folder, known, places, migration)
    elif places:
        content = _project_file(folder, paths, _ordered(paths, places, order), places, origin, migration)
    if content is not None:
        projects.parse(content)
        migration.contents[FILE] = content
    if known or places:
        _gates(folder, paths, migration)
        _golden(folder, paths, migration)
    return migration


def _applications(tree: Path) -> Iterator[Path]:
    for file in sorted(tree.glob("*/*.yaml")):
        if file.name != VALUES and file.parent.name not in RESERVED:
            yield file


def _application(folder: Path, file: Path, place: _Place, migration: Migration) -> None:
    """Take namespace and soak out of an application's file."""
    path = file.relative_to(folder).as_posix()
    content = file.read_bytes()
    keys = scalars.keys(content, path)
    ways: dict[str, tuple[str, ...]] = {}
    if NAMESPACE in keys:
        ways[NAMESPACE] = (NAMESPACE,)
    for key, line in scalars.keys(content, path, (PROMOTION,)).items():
        if key != SOAK:
            raise UsageError(f"{path}:{line}: {PROMOTION}.{key}: has no place in {FILE}", fix="Remove it by hand.")
        ways[SOAK] = (PROMOTION, SOAK)
    read = scalars.read(content, ways.values(), path)
    for key, way in ways.items():
        place.add(key, _Said(read[way], f"{path}:{keys[way[0]]}"))
    if gone := [key for key in (NAMESPACE, PROMOTION) if key in keys]:
        migration.contents[path] = scalars.without(content, gone, path)
        migration.told.append(f"{path}: {' and '.join(gone)} out, into {FILE}")


def _same_time(one: str, other: str) -> bool:
    return duration.seconds(one) == duration.seconds(other)


def _ordered(paths: Paths, places: Mapping[str, _Place], order: Sequence[str]) -> Sequence[str]:
    """Return the environments in the order of promotion.

    Raises:
        UsageError: Nobody has said it, or not of these.
    """
    if not order and set(places) <= set(OLD_ORDER):
        return [name for name in OLD_ORDER if name in places]
    if sorted(order) != sorted(places):
        there = ",".join(places)
        said = f"--order {','.join(order)}: not the folders" if order else "in which order versions move is not known:"
        raise UsageError(f"{said} {', '.join(places)} of {paths.tree}", fix=f"--order {there}, or as they come")
    return order


def _project_file(
    folder: Path,
    paths: Paths,
    order: Sequence[str],
    places: Mapping[str, _Place],
    origin: str | None,
    migration: Migration,
) -> bytes:
    """Return the project file that the old files make."""
    source, project = (_manifest(folder / paths.argocd / name) for name in (OLD_SET, OLD_PROJECT))
    watched = source.get("template", {}).get("spec", {}).get("source", {}).get("repoURL") or _without_user(origin)
    git: Mapping[str, str] = next((each["git"] for each in source.get("generators", ()) if "git" in each), {})
    document = tomlkit.document()
    document.add(tomlkit.comment("How things are in this repository; docs/project.md explains every key."))
    document["repository"] = watched or PLACEHOLDER
    document["branch"] = git.get("revision", "main")
    environments = tomlkit.aot()
    for name in order:
        said = places[name].said
        if NAMESPACE not in said:
            raise UsageError(f"{paths.tree}/{name}: no file in it says its {NAMESPACE}", fix=f"Write {FILE} by hand.")
        table = tomlkit.table()
        table["name"] = name
        table[NAMESPACE] = said[NAMESPACE].value
        if name == OLD_PROTECTED:
            table["protected"] = True
        if SOAK in said:
            table[SOAK] = said[SOAK].value
        if windows := _windows(project.get("syncWindows", ()), name):
            table["windows"] = windows
        environments.append(table)
    document["environments"] = environments
    migration.told.append(f"{FILE}: made, with {', '.join(order)}")
    if not watched:
        migration.told.append(f"{FILE}: repository is a placeholder: write the address that Argo CD watches")
    return tomlkit.dumps(document).encode()


def _manifest(file: Path) -> dict[str, Any]:
    """Return the spec of what Argo CD was given until now, where it is there."""
    try:
        _, text = kubernetes_yaml.decoded(file.read_bytes(), str(file))
    except FileNotFoundError:
        return {}
    found = documents.parse(text, str(file))
    spec: dict[str, Any] = found[0].get("spec", {}) if found else {}
    return spec


def _without_user(url: str | None) -> str | None:
    """Return an address without a password or token: the project file is read by everybody."""
    if url is None or not url.startswith(("http://", "https://")):
        return url
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _windows(given: Sequence[Mapping[str, Any]], environment: str) -> tomlkit.items.AoT | None:
    """Return the sync windows of an environment.

    Raises:
        UsageError: It has one that the project file has no words for.
    """
    windows = tomlkit.aot()
    for each in given:
        if f"{environment}-*" not in each.get("applications", ()):
            continue
        if each["kind"] != "allow" or len(each["applications"]) > 1 or "namespaces" in each or "clusters" in each:
            raise UsageError(
                f"{OLD_PROJECT}: a sync window of {environment} is more than {FILE} can say",
                fix=f"Write {FILE} by hand, and that window as a patch of the AppProject.",
            )
        table = tomlkit.table()
        if description := each.get("description"):
            table["description"] = description
        table["schedule"], table["duration"] = each["schedule"], each["duration"]
        if (timezone := each.get("timeZone", "UTC")) != "UTC":
            table["timezone"] = timezone
        if not each.get("manualSync", False):
            table["manual"] = False
        windows.append(table)
    return windows or None


def _completed(folder: Path, known: Project, places: Mapping[str, _Place], migration: Migration) -> bytes | None:
    """Return the project file with what only the tree has said, or None where it says all of that."""
    document: Any = tomlkit.parse((folder / FILE).read_text())
    added = []
    for name, place in places.items():
        if not place.said:
            continue
        known.environment(name)
        table = document["environments"][known.names.index(name)]
        for key, said in place.said.items():
            if key in table:
                _Place({key: _Said(str(table[key]), FILE)}).add(key, said)
            else:
                table.add(key, said.value)
                added.append(f"{FILE}: {key} of {name}, {said.value}")
    migration.told += added
    return tomlkit.dumps(document).encode() if added else None


def _gates(folder: Path, paths: Paths, migration: Migration) -> None:
    """Move what the gates are held to out of the chart, without the answers: golden files have them."""
    old, new = f"{paths.chart}/{GATES}", f"{paths.tree}/{GATES}"
    if (folder / old).is_file():
        content = scalars.without((folder / old).read_bytes(), [ANSWERS], old)
        _move(folder, old, new, content, migration)


def _golden(folder: Path, paths: Paths, migration: Migration) -> None:
    if paths.golden == OLD_GOLDEN:
        return
    for file in sorted((folder / OLD_GOLDEN).glob("*.yaml")):
        _move(folder, f"{OLD_GOLDEN}/{file.name}", f"{paths.golden}/{file.name}", file.read_bytes(), migration)


def _move(folder: Path, old: str, new: str, content: bytes, migration: Migration) -> None:
    if (folder / new).exists() and (folder / new).read_bytes() != content:
        raise UsageError(f"{old}: {new} is there, too, and says something else", fix="Remove one of them.")
    migration.contents[new] = content
    migration.gone.append(old)
    migration.told.append(f"{old}: moved to {new}")
