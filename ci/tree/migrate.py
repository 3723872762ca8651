"""A tree of the form before the project file, brought to today's: what stands there is said there once."""

import json
import urllib.parse
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomlkit
import tomlkit.items
from pydantic import ValidationError

from ci import project as projects
from ci.base import duration, files, jsonfile, nesting
from ci.base.errors import UsageError
from ci.base.text import cut
from ci.manifests import documents, kubernetes_yaml, places
from ci.project import FILE, LABEL, RESERVED, Paths, Project, Window
from ci.tree import scalars

T = TypeVar("T")

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
WINDOW = {
    "schedule": "schedule",
    "duration": "duration",
    "timeZone": "timezone",
    "manualSync": "manual",
    "description": "description",
}
"""What a sync window of Argo CD may say besides whom it allows, by the project file's words for it
(https://argo-cd.readthedocs.io/en/stable/user-guide/sync_windows/)."""
YAML_KINDS: Mapping[type, str] = {dict: "mapping", list: "list", str: "text"}
SHOWN = 80


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
    said: dict[str, _Place] = {}
    applications = list(_applications(folder / paths.tree))
    for file in applications:
        _application(folder, file, said.setdefault(file.parent.name, _Place()), migration)
    content = None
    if known is not None:
        content = _completed(folder, known, said, migration)
    elif said:
        content = _project_file(folder, paths, _ordered(paths, said, order), said, origin, migration)
    if content is not None:
        projects.parse(content, f"{FILE}, as it would be")
        migration.contents[FILE] = content
    if known or said:
        _gates(folder, paths, migration)
        _golden(folder, paths, {file.name for file in applications}, migration)
    files.require_own(folder, [*migration.contents, *migration.gone])
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
    lines = dict(keys)
    ways: dict[str, tuple[str, ...]] = {}
    if NAMESPACE in keys:
        ways[NAMESPACE] = (NAMESPACE,)
    for key, line in scalars.keys(content, path, (PROMOTION,)).items():
        if key != SOAK:
            raise UsageError(f"{path}:{line}: {PROMOTION}.{key}: has no place in {FILE}", fix="Remove it by hand.")
        ways[SOAK] = (PROMOTION, SOAK)
        lines[SOAK] = line
    read = scalars.read(content, ways.values(), path)
    for key, way in ways.items():
        found = _Said(read[way], f"{path}:{lines[key]}")
        _require_readable(key, found)
        place.add(key, found)
    if gone := [key for key in (NAMESPACE, PROMOTION) if key in keys]:
        migration.contents[path] = _without(content, gone, path)
        migration.told.append(f"{path}: {' and '.join(gone)} out, into {FILE}")


def _without(content: bytes, gone: Collection[str], path: str) -> bytes:
    return nesting.read(lambda: scalars.without(content, gone, path), path)


def _require_readable(key: str, said: _Said) -> None:
    if key == SOAK:
        duration.seconds(said.value or "nothing", f"{said.place}: {PROMOTION}.{SOAK}:")
    elif LABEL.fullmatch(said.value) is None:
        raise UsageError(f"{said.place}: {NAMESPACE}: {said.value or 'nothing'} is no name of a namespace")


def _same_time(one: str, other: str) -> bool:
    return duration.seconds(one) == duration.seconds(other)


def _ordered(paths: Paths, found: Mapping[str, _Place], order: Sequence[str]) -> Sequence[str]:
    """Return the environments in the order of promotion.

    Raises:
        UsageError: Nobody has said it, or not of these.
    """
    if not order and set(found) <= set(OLD_ORDER):
        return [name for name in OLD_ORDER if name in found]
    if sorted(order) != sorted(found):
        there = ",".join(found)
        said = f"--order {','.join(order)}: not the folders" if order else "in which order versions move is not known:"
        raise UsageError(f"{said} {', '.join(found)} of {paths.tree}", fix=f"--order {there}, or as they come")
    return order


def _project_file(
    folder: Path,
    paths: Paths,
    order: Sequence[str],
    found: Mapping[str, _Place],
    origin: str | None,
    migration: Migration,
) -> bytes:
    """Return the project file that the old files make."""
    source, project = (_manifest(folder, f"{paths.argocd}/{name}") for name in (OLD_SET, OLD_PROJECT))
    watched = source.at(("spec", "template", "spec", "source", "repoURL"), str) or _without_user(origin)
    generators = range(len(source.at(("spec", "generators"), list) or ()))
    revisions = (source.at(("spec", "generators", number, "git", "revision"), str) for number in generators)
    windows = _windows(project, order)
    document = tomlkit.document()
    document.add(tomlkit.comment("How things are in this repository; docs/project.md explains every key."))
    document["repository"] = watched or PLACEHOLDER
    document["branch"] = next(filter(None, revisions), "main")
    environments = tomlkit.aot()
    for name in order:
        said = found[name].said
        if NAMESPACE not in said:
            raise UsageError(f"{paths.tree}/{name}: no file in it says its {NAMESPACE}", fix=f"Write {FILE} by hand.")
        table = tomlkit.table()
        table["name"] = name
        table[NAMESPACE] = said[NAMESPACE].value
        if name == OLD_PROTECTED:
            table["protected"] = True
        if SOAK in said:
            table[SOAK] = said[SOAK].value
        if windows[name]:
            table["windows"] = [each.model_dump(exclude_defaults=True) for each in windows[name]]
        environments.append(table)
    document["environments"] = environments
    migration.told.append(f"{FILE}: made, with {', '.join(order)}")
    if not watched:
        migration.told.append(f"{FILE}: repository is a placeholder: write the address that Argo CD watches")
    return tomlkit.dumps(document).encode()


@dataclass(frozen=True)
class _Manifest:
    """What Argo CD was given until now.

    Attributes:
        file: Its path from the project file's folder.
        text: The file.
        document: The object in it; nothing where there is no such file.
    """

    file: str
    text: str
    document: Mapping[str, Any]

    def at(self, way: places.Path, kind: type[T]) -> T | None:
        """Return what a way leads to; None where there is nothing.

        Raises:
            UsageError: Something on the way, or what it leads to, is of another kind than it has to be.
        """
        found: Any = self.document
        for depth, part in enumerate(way):
            if isinstance(part, str):
                if not isinstance(found, dict):
                    raise self.refusal(way[:depth], "is no mapping")
                if part not in found:
                    return None
            found = found[part]
        if not isinstance(found, kind):
            raise self.refusal(way, f"is no {YAML_KINDS[kind]}")
        return found

    def refusal(self, way: places.Path, said: str) -> UsageError:
        """Return the error for what a way leads to."""
        line = places.nearest_line(self.text, way)
        by_hand = f"Write {FILE} by hand, and what it has no key for as a patch: docs/project.md, Patches."
        return UsageError(f"{self.file}:{line}: {projects.dotted(tuple(way))}: {said}", fix=by_hand)


def _manifest(folder: Path, file: str) -> _Manifest:
    """Return what Argo CD was given until now, where it is there.

    Raises:
        UsageError: It is not YAML, or more objects than the one that `argocd render` makes anew.
    """
    try:
        _, text = kubernetes_yaml.decoded((folder / file).read_bytes(), file)
    except FileNotFoundError:
        return _Manifest(file, "", {})
    found = documents.parse(text, file)
    if len(found) > 1:
        said = f"has {len(found)} objects, and `argocd render` writes the whole file anew"
        raise UsageError(f"{file}: {said}", fix="Move all but the first into files of their own.")
    return _Manifest(file, text, found[0] if found else {})


def _without_user(url: str | None) -> str | None:
    """Return an address without a password or token: the project file is read by everybody."""
    if url is None or not url.startswith(("http://", "https://")):
        return url
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _windows(project: _Manifest, order: Sequence[str]) -> dict[str, list[Window]]:
    """Return the sync windows of each environment.

    Raises:
        UsageError: There is one that the project file has no words for: `argocd render` would delete it.
    """
    windows: dict[str, list[Window]] = {name: [] for name in order}
    for number in range(len(project.at(("spec", "syncWindows"), list) or ())):
        way = ("spec", "syncWindows", number)
        given = project.at(way, dict) or {}
        bound = _bound(given.get("applications"), order)
        more = [key for key, value in given.items() if value and key not in (*WINDOW, "kind", "applications")]
        more += ["kind"] if given.get("kind") != "allow" else []
        more += ["applications"] if len(bound) != 1 else []
        if more:
            whose = f" of {', '.join(bound)}" if bound else ""
            what = ", ".join(f"{key} is {cut(json.dumps(given.get(key)), SHOWN)}" for key in more)
            raise project.refusal(way, f"a sync window{whose} is more than {FILE} can say: {what}")
        said = {word: given[key] for key, word in WINDOW.items() if given.get(key)}
        try:
            windows[bound[0]].append(Window.model_validate({"manual": False, **said}))
        except ValidationError as error:
            raise project.refusal(way, jsonfile.first_error(error).replace("Value error, ", "")) from error
    return windows


def _bound(patterns: Any, order: Sequence[str]) -> list[str]:
    """Return the environments that a sync window of these applications binds as a whole; none where it is another."""
    if not (isinstance(patterns, list) and len(patterns) == 1 and patterns[0] in [f"{name}-*" for name in order]):
        return []
    return [name for name in order if f"{name}-".startswith(patterns[0].removesuffix("*"))]


def _completed(folder: Path, known: Project, found: Mapping[str, _Place], migration: Migration) -> bytes | None:
    """Return the project file with what only the tree has said, or None where it says all of that."""
    content = (folder / FILE).read_bytes()
    mark, text = kubernetes_yaml.decoded(content, FILE)
    document: Any = tomlkit.parse(text)
    as_it_stands = tomlkit.dumps(document) == text
    line_end = "\r\n" if "\r\n" in text else "\n"
    added = []
    for name, place in found.items():
        for key, said in place.said.items():
            if name not in known.names:
                raise UsageError(f"{said.place}: {FILE} has no environment {name}", fix="Write it there by hand.")
            table = document["environments"][known.names.index(name)]
            if key in table:
                _Place({key: _Said(str(table[key]), FILE)}).add(key, said)
            else:
                _add(table, key, said.value, line_end)
                added.append(f"{FILE}: {key} of {name}, {said.value}")
    if added and not as_it_stands:
        raise UsageError(
            f"{FILE}: [[environments]] with other tables between them: nothing can be added where it stands",
            fix="Write them one after the other.",
        )
    migration.told += added
    return mark + tomlkit.dumps(document).encode() if added else None


def _add(table: Any, key: str, value: str, line_end: str) -> None:
    """Give an environment another key, right below its namespace: what is further below may be about what follows."""
    if isinstance(table, tomlkit.items.InlineTable):
        table.add(key, value)
    else:
        above = table.item(NAMESPACE).trivia
        line = f"{above.indent}{key} = {tomlkit.item(value).as_string()}"
        above.trail = f"{above.trail or line_end}{line}{above.trail}"


def _gates(folder: Path, paths: Paths, migration: Migration) -> None:
    """Move what the gates are held to out of the chart, without the answers: golden files have them."""
    old, new = f"{paths.chart}/{GATES}", f"{paths.tree}/{GATES}"
    if (folder / old).is_file():
        content = _without((folder / old).read_bytes(), [ANSWERS], old)
        _move(folder, old, new, content, migration)


def _golden(folder: Path, paths: Paths, names: Collection[str], migration: Migration) -> None:
    """Move the golden files of applications; other tests may have files beside them."""
    if paths.golden == OLD_GOLDEN:
        return
    for file in sorted(each for each in (folder / OLD_GOLDEN).glob("*.yaml") if each.name in names):
        _move(folder, f"{OLD_GOLDEN}/{file.name}", f"{paths.golden}/{file.name}", file.read_bytes(), migration)


def _move(folder: Path, old: str, new: str, content: bytes, migration: Migration) -> None:
    if (folder / new).exists() and (folder / new).read_bytes() != content:
        raise UsageError(f"{old}: {new} is there, too, and says something else", fix="Remove one of them.")
    migration.contents[new] = content
    migration.gone.append(old)
    migration.told.append(f"{old}: moved to {new}")
