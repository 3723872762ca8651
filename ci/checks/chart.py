"""Helm on every target: what it is given, and what it says."""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import dagger
import yaml

from ci.base.errors import CheckFailedError
from ci.checks import tools
from ci.manifests.chart import Chart, Rendering, Target
from ci.results import Finding
from ci.tree import dependencies

VALUES = re.compile(r"- at '(?P<at>[^']*)': (?P<what>.+)")
MISSING = ": missing propert"
"""In a finding, what Helm says of values that a schema requires."""
NAMED_KEYS = re.compile(r"'([^']+)'")
UNPARSABLE_VALUES = re.compile(
    r"failed to parse \.\./\.\./values/\d+/(?P<place>\d+)\.yaml: .*?(?:yaml: (?:line \d+: )?(?P<what>.+))"
)
TEMPLATE = r"[^\s/(]+/(?P<file>(?:charts/[^\s/]+/)*templates/"
"""A template as Helm names it, the chart's name first; that of a chart in `charts/` is not the chart's own."""
REFUSED = re.compile(rf"execution error at \({TEMPLATE}[^\s:)]+):(?P<line>\d+)(?::\d+)?\): (?P<what>.+)")
"""What a template says with `fail` or `required`."""
PLACES = (
    REFUSED,
    re.compile(rf"Error: template: {TEMPLATE}[^\s:]+):(?P<line>\d+):\d+: (?P<what>.+)"),
    re.compile(rf"parse error at \({TEMPLATE}[^\s:)]+):(?P<line>\d+)(?::\d+)?\): (?P<what>.+)"),
    re.compile(rf"{TEMPLATE}[^\s:]+):(?P<line>\d+):\d+\n(?P<what>(?:\s+.+\n?)+)"),
    re.compile(rf"YAML parse error on {TEMPLATE}\S+): (?P<what>.+)"),
)
NAMED = re.compile(r"(?<![\w/.-])\.?(?:Values\.)?([A-Za-z]\w*(?:\.[A-Za-z]\w*|\[\d+\]|\[\"[^\"\]]+\"\])+)(?![\w/])")
"""In what a template says, a value by its keys: a.b, a.b[0], a["b.c/d"]."""
PART = re.compile(r"(?<=\")[^\"\]]+(?=\")|\w+")
LINT = re.compile(
    r"^\[(?P<severity>WARNING|ERROR)\] (?P<file>[^:\s]+): (?P<what>(?:.+\n?)+?)(?=^\[|^\s*$|\Z)", re.MULTILINE
)
NAMELESS = 'object name does not conform to Kubernetes naming requirements: "": '
"""Said of a List and of what has a generateName as well; the schemas say it of what needs a name."""


async def lint(helm: dagger.Container, targets: Sequence[Target]) -> list[tuple[str, Finding]]:
    """Run `helm lint --strict` on targets.

    Args:
        helm: What `tools.batch` returned, with the folder that `laid_out` filled.
        targets: What `laid_out` was given.

    Returns:
        What it says, each with its target's name.
    """
    # it cannot be told of a cluster's APIs; `helm template` judges what wants to know of them
    asked = [each for each in zip(targets, commands(targets, "lint"), strict=True) if not each[0].api_versions]
    outputs = await tools.execute_all(helm, [command for _, command in asked])
    found = [(target, linted(target, output)) for (target, _), output in zip(asked, outputs, strict=True)]
    return [(target.name, each) for target, own in found if not left_out(target, own) for each in own]


async def render(helm: dagger.Container, targets: Sequence[Target]) -> list[Rendering]:
    """Run `helm template` on targets.

    Args:
        helm: As for `lint`.
        targets: As for `lint`.

    Returns:
        The objects of each, or why there are none; nothing of one that is left out.
    """
    outputs = await tools.execute_all(helm, commands(targets, "template"))
    every = [rendered(target, output) for target, output in zip(targets, outputs, strict=True)]
    return [each for each in every if not left_out(each.target, each.findings)]


def laid_out(targets: Sequence[Target], folder: Path) -> None:
    """Write everything that Helm reads of targets below a folder, for `commands`.

    Args:
        targets: What is rendered.
        folder: An empty one.
    """
    for source, name in _charts(targets).items():
        shutil.copytree(source, folder / name, ignore_dangling_symlinks=True)
        if dependencies.declares(source):
            (folder / name / "templates").mkdir(exist_ok=True)  # helm lint wants it of a chart that is all dependencies
    for number, target in enumerate(targets):
        (folder / "values" / str(number)).mkdir(parents=True)
        for place, values in enumerate(target.values):
            file = folder / "values" / str(number) / f"{place}.yaml"
            file.write_text(values.written)


def commands(targets: Sequence[Target], what: Literal["lint", "template"]) -> list[tools.Command]:
    """Return a helm command for each target, to be run where `laid_out` wrote them.

    Args:
        targets: What `laid_out` was given.
        what: The command. A warning of `helm lint` counts as an error.
    """
    charts = _charts(targets)
    found = []
    for number, target in enumerate(targets):
        words = {
            "lint": ["lint", ".", "--strict", "--quiet"],
            "template": ["template", target.release, ".", "--include-crds"],
        }[what]
        # the last values are the chart's own, which Helm finds in it
        files = [f"--values=../../values/{number}/{place}.yaml" for place in range(len(target.values) - 1)]
        options = [f"--namespace={target.namespace}", *reversed(files), f"--kube-version={target.kube_version}"]
        options += [f"--api-versions={each}" for each in target.api_versions if what == "template"]
        found.append(tools.Command(charts[target.chart.folder], [*words, *options]))
    return found


def _charts(targets: Sequence[Target]) -> dict[Path, str]:
    return {
        source: f"charts/{number}"
        for number, source in enumerate(dict.fromkeys(target.chart.folder for target in targets))
    }


def linted(target: Target, output: tools.Output) -> list[Finding]:
    """Return what `helm lint` has to say about a target; its warnings count as errors."""
    return [] if output.code == 0 else findings(target, output.stdout + output.stderr)


def rendered(target: Target, output: tools.Output) -> Rendering:
    """Return what `helm template` made of a target, or why it did not."""
    if output.code:
        return Rendering(target, "", tuple(findings(target, output.stderr)))
    rendering = Rendering(target, output.stdout)
    try:
        _ = rendering.objects
    except CheckFailedError as error:
        place, _, said = error.message.partition(": ")
        return Rendering(target, "", (Finding("chart", place, 0, said, error.fix or ""),))
    return rendering


def left_out(target: Target, found: Sequence[Finding]) -> bool:
    """Tell whether the chart's own values are none to judge: its schema requires what only an application gives.

    Args:
        target: The target. One that a person named is never left out.
        found: What Helm has to say about it.
    """
    wants = bool(found) and all(each.check == "values" and MISSING in each.message for each in found)
    return target.application is None and not target.asked_for and wants


def findings(target: Target, output: str) -> list[Finding]:
    """Read what helm says about a target that it refuses.

    Args:
        target: The target.
        output: What `helm lint` or `helm template` printed.

    Returns:
        One finding for each thing wrong, at the values or template that has it.
    """
    found = [*_values(target, output), *_templates(target, output)]
    if not found:
        told = list(_lint(target.chart, output))
        found = [each for each in told if NAMELESS not in each.message]
        if told and not found:
            return []
    if not found:
        said = " ".join(output.split()) or "helm failed and said nothing"
        found = [
            Finding("chart", target.chart.name, 0, said, "correct what helm names; `helm template` shows it alone")
        ]
    return list(dict.fromkeys(found))


def _values(target: Target, output: str) -> Iterator[Finding]:
    """Yield what is wrong with the values: no YAML, or not what values.schema.json asks for."""
    for match in UNPARSABLE_VALUES.finditer(output):
        values = target.values[int(match["place"])]
        line = _syntax_line(values.text)
        yield Finding("values", values.file, line, f"no YAML: {match['what']}", "correct the syntax")
    for match in VALUES.finditer(output):
        path = tuple(_unescaped(part) for part in match["at"].split("/")[1:])
        unknown, missing = "additional propert" in match["what"], match["what"].startswith("missing propert")
        for key in NAMED_KEYS.findall(match["what"]) if unknown or missing else ():
            whole = (*path, key)
            file, line = target.place(_indices(whole))
            name = ".".join(whole)
            if unknown:
                listed = f"{target.chart.name}/values.yaml lists the keys"
                yield Finding("values", file, line, f"{name}: unknown key", f"remove it or correct its name; {listed}")
            elif line:  # what a file has and Helm does not is null there
                remedy = "give it a value, or remove the line and the chart's own value holds"
                yield Finding("values", file, line, f"{name}: null, and the chart needs a value here", remedy)
            else:
                yield _refused(target, path, f"missing property '{key}'")
        if not (unknown or missing):
            yield _refused(target, path, match["what"])


def _refused(target: Target, path: tuple[str, ...], what: str) -> Finding:
    file, line = target.place(_indices(path))
    name = ".".join(path) or "the values"
    if what.startswith("got null"):
        return Finding("values", file, line, f"{name}: null is no value here", "give it a value, or remove the line")
    return Finding("values", file, line, f"{name}: {what}", "give it what values.schema.json asks")


def _unescaped(part: str) -> str:
    """Return a key as a JSON pointer has it (RFC 6901)."""
    return part.replace("~1", "/").replace("~0", "~")


def _indices(path: tuple[str, ...]) -> tuple[str | int, ...]:
    return tuple(int(part) if part.isdecimal() else part for part in path)


def _syntax_line(text: str) -> int:
    """Return where PyYAML stumbles: libyaml's own mark is exact, helm's message gives the line before."""
    try:
        yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        return error.problem_mark.line + 1 if error.problem_mark else 0
    except yaml.YAMLError:
        return 0
    return 0


def _templates(target: Target, output: str) -> Iterator[Finding]:
    """Yield what a template stumbles over, or refuses with `fail`: at the value that it names, where that is known."""
    for pattern in PLACES:
        for match in pattern.finditer(output):
            line = match.groupdict().get("line")
            found = Finding(
                "chart",
                target.chart.found(match["file"])[0],
                int(line) if line else 0,  # a line of the rendered text is none of the template's
                " ".join(match["what"].split()),
                "correct the template, or the values that it reads here",
            )
            if own := _own(target, found.message):
                file, line_there = own
                if pattern is REFUSED:
                    message, remedy = found.message, "change what it names; `helm template` says when it is right"
                else:  # the template may well be what is wrong
                    message, remedy = f"{found.message} (said by {found.place})", found.remedy
                found = replace(found, file=file, line=line_there, message=message, remedy=remedy)
            yield found


def _own(target: Target, message: str) -> tuple[str, int] | None:
    """Return file and line of a value that a message names; None where no file but the chart's own has one of them.

    Of several, the one in the strongest file: it is the application's own.
    """
    files = [each.file for each in target.values[:-1]]
    named = (target.place(_indices(tuple(PART.findall(name)))) for name in NAMED.findall(message))
    found = [(file, line) for file, line in named if line and file in files]
    return min(found, key=lambda place: files.index(place[0]), default=None)


def _lint(chart: Chart, output: str) -> Iterator[Finding]:
    """Yield what is left of `helm lint`: warnings and errors that name a file of the chart."""
    for match in LINT.finditer(output):
        file = match["file"].rstrip("/")
        yield Finding(
            "chart",
            f"{chart.name}/{file}",
            0,
            " ".join(match["what"].split()),
            "change what helm names; `helm lint --strict` is satisfied when it says nothing",
        )
