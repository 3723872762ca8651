"""What KServe serves a model by: a serving runtime that is there and takes the model's format and protocol.

KServe itself tells so on a cluster alone, by an InferenceService that never gets ready (its
`pkg/apis/serving/v1beta1/predictor_model.go` and `pkg/controller/v1beta1/inferenceservice/components/predictor.go`).
"""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ci.base import command, fields
from ci.manifests import documents
from ci.manifests.documents import Document
from ci.manifests.manifests import dig, entries, mapping

KINDS = ("ServingRuntime", "ClusterServingRuntime")
MODEL = ("spec", "predictor", "model")
CONTAINER = "kserve-container"
"""KServe's name for the model server's container."""
BESIDE = ("containers", "initContainers")
"""Fields of a predictor with containers; the server's is among the first where it has no runtime."""
CHART = "kserve-runtime-configs"
PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
PORT = re.compile(r"port\D*(\d+)$", re.IGNORECASE)
"""What an argument, or a variable with its value, says of a port."""
HTTP = re.compile(r"http|rest", re.IGNORECASE)
"""In what an option is called whose port is asked; a server that has such a one has gRPC or else at its others."""
LISTENS = re.compile(r"--?(http|rest_api)[-_]port")
"""An argument by which a server listens, whatever its runtime says of it."""
NUMBER = re.compile(r"\d+")
SPOKEN = {"v1": "/v1/models/{}"}
"""Where a server that has no protocol v2 says that it has a model, by the protocol that it has."""
NAME = "{{.Name}}"
"""In a runtime, for the name of the InferenceService."""
FILES = PurePosixPath("/mnt/models")
"""Where KServe puts what a `storageUri` names."""
METRICS = {"port": "8080", "path": "/metrics"}
"""Where a server has its own metrics unless its runtime says otherwise, by an annotation of KServe's."""
ENABLED = {"kserve": {"servingruntime": {"enabled": True}}}
"""Values of KServe's chart of that name with which it has its runtimes."""


@dataclass(frozen=True)
class Fault:
    """Why no runtime serves an InferenceService.

    Attributes:
        key: Of its model: "runtime", "modelFormat" or "protocolVersion".
        said: What is wrong, in one line.
        remedy: How to correct it.
        sure: Whether it is wrong wherever those runtimes are; else a cluster may have another one that does it.
    """

    key: str
    said: str
    remedy: str
    sure: bool


@dataclass(frozen=True)
class Word:
    """One thing that a server is told: an argument with its value, or a variable.

    Attributes:
        path: Where it stands in its container: "args" or "env", and its number there.
        option: What it is called.
        value: Its value.
        text: Both, as they are shown.
    """

    path: tuple[str, int]
    option: str
    value: str
    text: str


@dataclass(frozen=True)
class Unheard:
    """A port that a server is asked at, and not told of.

    Attributes:
        port: The port.
        theirs: What its runtime tells it of ports, in one line; empty where it says nothing.
        ours: What the InferenceService itself tells it instead; None where that says nothing.
    """

    port: int
    theirs: str
    ours: Word | None


def beside(predictor: Mapping[str, Any]) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Yield each container beside the model server's, with its field and its place in that.

    Args:
        predictor: Of an InferenceService.
    """
    for key in BESIDE:
        for index, container in entries(predictor.get(key)):
            if key in BESIDE[1:] or container.get("name") != CONTAINER:
                yield key, index, container


async def kserves(helm: Path, module: Path) -> list[Document]:
    """Return the serving runtimes that KServe brings, without a cluster.

    Args:
        helm: The executable.
        module: Folder of KServe's Go module.
    """
    argv: list[str | Path] = [helm, "template", CHART, module / "charts" / CHART, "--values=-"]
    done = await command.run(argv, stdin=json.dumps(ENABLED), timeout=60)
    return [each for each in documents.parse(done.stdout, CHART) if each["kind"] in KINDS]


def of(objects: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the serving runtimes among objects."""
    return [each for each in objects if each.get("kind") in KINDS]


def fault(service: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Fault | None:
    """Return why no runtime serves an InferenceService; None where one does, or it has a container of its own.

    Args:
        service: The InferenceService.
        runtimes: The serving runtimes that there are.
    """
    model = mapping(dig(service, *MODEL))
    if service.get("kind") != "InferenceService" or not model:
        return None
    if model.get("runtime") is None:
        return _by_itself(model, runtimes)
    wanted = str(model["runtime"])
    found = {str(dig(each, "metadata", "name")): each for each in reversed(runtimes)}
    if wanted not in found:
        near = fields.nearest(wanted, found)
        said = f"no serving runtime is called {wanted}; there are {', '.join(sorted(found))}"
        return Fault("runtime", said, f"is {near} meant?" if near else "name one that is there", sure=False)
    return _named(wanted, found[wanted], model, runtimes)


def other_paths(service: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Mapping[str, tuple[str, str]]:
    """Return each probe of an InferenceService that asks what its runtime's own probes do not: its path, and theirs.

    KServe puts the InferenceService's in the place of the runtime's.

    Args:
        service: The InferenceService.
        runtimes: The serving runtimes that there are.
    """
    model = mapping(dig(service, *MODEL))
    runtime = _by_name(model, runtimes)
    theirs = [path for container in _containers(runtime) for each in PROBES if (path := _path(container, each))]
    asked = {each: path for each in PROBES if (path := _path(model, each))}
    return {each: (path, theirs[0]) for each, path in asked.items() if theirs and path not in theirs}


def unspoken_paths(service: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Mapping[str, tuple[str, str]]:
    """Return each probe that asks by protocol v2 a runtime that does not speak it: its path, and theirs.

    Args:
        service: The InferenceService.
        runtimes: The serving runtimes that there are.
    """
    model = mapping(dig(service, *MODEL))
    spoken = dig(_by_name(model, runtimes), "spec", "protocolVersions") or ("v2",)
    asked = {each: path for each in PROBES if (path := _path(model, each)).startswith("/v2/")}
    theirs = next((path for protocol, path in SPOKEN.items() if protocol in spoken), "")
    name = dig(service, "metadata", "name")
    return {each: (path, theirs.format(name)) for each, path in asked.items() if theirs and "v2" not in spoken}


def unheard_port(service: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Unheard | None:
    """Return the port that an InferenceService's server is asked at by HTTP, where what it is told is another.

    None where anything tells it so, or nothing that is sure tells it of ports: a runtime, or an argument of that name.

    Args:
        service: The InferenceService.
        runtimes: The serving runtimes that there are.
    """
    server = _server(service)
    ports = (each.get("containerPort") for _, each in entries(server.get("ports")) if each.get("name") == "http")
    containers = list(_containers(_by_name(mapping(dig(service, *MODEL)), runtimes)))
    theirs = [word for each in containers for word in _said(each) if PORT.search(word.text)]
    own = [word for word in _said(server) if PORT.search(word.text)]
    named = {word.option for word in theirs if HTTP.search(word.option)}
    ours = [word for word in own if word.option in named or (word.path[0] == "args" and LISTENS.fullmatch(word.option))]
    named.update(word.option for word in ours)
    named = named or {word.option for word in theirs}
    ours = ours or [word for word in own if word.option in named]
    port = next(ports, 0)
    if not port or not named:
        return None
    other = [word for word in (*theirs, *own) if word.option not in named]
    last = {word.option: word for word in own}
    gone = [there for _, there in otherwise(service, runtimes) if there.option in named]
    gone += [word for word in own if word.option in named and word != last[word.option]]
    told = Counter(number for each in (*containers, server) for number in _numbers(_words(each)))
    told.subtract(_numbers(word.text for word in (*other, *gone)))
    if told[str(port)] > 0:
        return None
    return Unheard(port, ", ".join(word.text for word in theirs), ours[-1] if ours else None)


def otherwise(service: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Word, Word]]:
    """Yield each thing that an InferenceService tells its server and its runtime otherwise, with what that says.

    KServe puts the arguments behind the runtime's, where the last counts, and a variable in the place of its.

    Args:
        service: The InferenceService.
        runtimes: The serving runtimes that there are.
    """
    model = mapping(dig(service, *MODEL))
    theirs = {word.option: word for each in _containers(_by_name(model, runtimes)) for word in _said(each)}
    name = str(dig(service, "metadata", "name"))
    for word in {word.option: word for word in _said(model)}.values():
        there = theirs.get(word.option)
        if there is not None and word.value != there.value.replace(NAME, name):
            yield word, there


def models_asked(service: Mapping[str, Any]) -> Mapping[str, str]:
    """Return each probe of an InferenceService that asks for a model of its own name, with its path.

    Args:
        service: The InferenceService.
    """
    own = ("models", str(dig(service, "metadata", "name")))
    asked = {each: _path(mapping(dig(service, *MODEL)), each) for each in PROBES}
    return {each: path for each, path in asked.items() if own in itertools.pairwise(path.split("/"))}


def other_metrics(service: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Mapping[str, tuple[str, str]]:
    """Return "port" and "path" of the metrics that an InferenceService is asked for where its runtime's are others.

    Args:
        service: The InferenceService.
        runtimes: The serving runtimes that there are.
    """
    runtime = _by_name(mapping(dig(service, *MODEL)), runtimes)
    asked = mapping(dig(service, "spec", "predictor", "annotations"))
    annotations = mapping(dig(runtime, "spec", "annotations"))
    found = {
        each: (str(asked[f"prometheus.io/{each}"]), str(annotations.get(f"prometheus.kserve.io/{each}", usual)))
        for each, usual in METRICS.items()
        if runtime and f"prometheus.io/{each}" in asked
    }
    return {each: (ours, theirs) for each, (ours, theirs) in found.items() if ours != theirs}


def _by_name(model: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return the runtime that a model names; empty where there is none of that name."""
    return next((each for each in runtimes if dig(each, "metadata", "name") == model.get("runtime")), {})


def _server(service: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the model server's container: with a runtime it is the model, else it has KServe's name for it."""
    containers = entries(dig(service, "spec", "predictor", "containers"))
    named = (each for _, each in containers if each.get("name") == CONTAINER)
    return mapping(dig(service, *MODEL)) or next(named, {})


def _numbers(words: Iterable[str]) -> Iterator[str]:
    yield from (number for word in words for number in NUMBER.findall(word))


def _containers(runtime: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in dig(runtime, "spec", "containers") or () if isinstance(each, Mapping))


def _words(container: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a server is told: its arguments, and its variables as NAME=VALUE."""
    yield from (str(each) for key in ("command", "args") for each in container.get(key) or ())
    yield from (f"{each.get('name')}={each['value']}" for _, each in entries(container.get("env")) if "value" in each)


def _said(container: Mapping[str, Any]) -> Iterator[Word]:
    """Yield the options with a value among a container's arguments, and its variables."""
    words = [str(each) for each in container.get("args") or ()]
    for index, (word, after) in enumerate(itertools.zip_longest(words, words[1:], fillvalue="")):
        option, joined, value = word.partition("=")
        if option.startswith("-") and (joined or (after and not after.startswith("-"))):
            yield Word(("args", index), option, value if joined else after, word if joined else f"{word} {after}")
    for index, each in entries(container.get("env")):
        if "value" in each:
            name, value = str(each.get("name")), str(each["value"])
            yield Word(("env", index), name, value, f"{name}={value}")


def _path(container: Mapping[str, Any], probe: str) -> str:
    """Return what a probe asks by HTTP; empty where it does not, or where KServe fills in a part of it."""
    path = str(dig(container, probe, "httpGet", "path") or "")
    return "" if "{{" in path else path


def _named(
    name: str, runtime: Mapping[str, Any], model: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]
) -> Fault | None:
    formats, wanted = list(_formats(runtime)), _label(model)
    if dig(runtime, "spec", "disabled"):
        return Fault("runtime", f"serving runtime {name} is disabled", "name another one", sure=True)
    if dig(runtime, "spec", "workerSpec"):
        said = f"serving runtime {name} has a model on several nodes, which KServe replaces at once beside any canary"
        return Fault("runtime", said, "name one of a single node", sure=True)
    if wanted not in {label for each in formats for label in _labels(each)}:
        said = f"serving runtime {name} takes no model of format {wanted}; it takes {_shown(formats)}"
        near = fields.nearest(wanted, [str(each.get("name")) for each in formats])
        others = sorted({str(dig(each, "metadata", "name")) for each in runtimes if _takes(each, wanted)})
        meant = [f"is {near} meant?"] if near else []
        meant += [f"{wanted} is a format of {', '.join(others)}"] if others else []
        return Fault("modelFormat", said, "; ".join(meant) or "name a format that it takes", sure=True)
    protocol, spoken = model.get("protocolVersion"), dig(runtime, "spec", "protocolVersions")
    if protocol and spoken and protocol not in spoken:
        said = f"serving runtime {name} does not speak {protocol}; it speaks {', '.join(map(str, spoken))}"
        return Fault("protocolVersion", said, "name one that it speaks, or none", sure=True)
    return None


def _by_itself(model: Mapping[str, Any], runtimes: Sequence[Mapping[str, Any]]) -> Fault | None:
    """Return why KServe would find no runtime where none is named."""
    wanted, protocol = _label(model), model.get("protocolVersion")
    free = [each for each in runtimes if not dig(each, "spec", "disabled") and not dig(each, "spec", "multiModel")]
    chosen = [each for each in free if any(wanted in _labels(one) for one in _formats(each) if one.get("autoSelect"))]
    if not chosen:
        names = sorted({str(one.get("name")) for each in free for one in _formats(each) if one.get("autoSelect")})
        near = fields.nearest(wanted, names)
        said = f"no serving runtime takes models of format {wanted} unless it is named; there are {', '.join(names)}"
        return Fault("modelFormat", said, f"is {near} meant?" if near else "name the runtime", sure=False)
    spoken = [dig(each, "spec", "protocolVersions") for each in chosen]
    if protocol and all(each and protocol not in each for each in spoken):
        names = sorted(str(dig(each, "metadata", "name")) for each in chosen)
        said = f"no serving runtime of format {wanted} speaks {protocol}: {', '.join(names)} do not"
        return Fault("protocolVersion", said, "name one that it speaks, or none", sure=False)
    return None


def _takes(runtime: Mapping[str, Any], label: str) -> bool:
    return any(label in _labels(each) for each in _formats(runtime))


def _formats(runtime: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from (each for each in dig(runtime, "spec", "supportedModelFormats") or () if isinstance(each, Mapping))


def _label(model: Mapping[str, Any]) -> str:
    """Return a model's format as KServe compares it: with its version where it has one."""
    return "".join(_labels(mapping(model.get("modelFormat")))[-1:])


def _labels(each: Mapping[str, Any]) -> list[str]:
    name, version = each.get("name"), each.get("version")
    return [str(name), *([f"{name}:{version}"] if version is not None else [])]


def _shown(formats: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(dict.fromkeys(str(each.get("name")) for each in formats)) or "none"
