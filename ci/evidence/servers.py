"""What serves an application's models, as its manifests have it: the server itself, and what it is given."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ci.manifests import documents
from ci.manifests.manifests import dig, entries, mapping


def served_by(manifests: str, name: str) -> list[str]:
    """Return what serves each InferenceService: runtime, format and protocol, and a container's own command."""
    found = []
    for _, predictor, containers in _predictors(manifests, name):
        model = mapping(predictor.get("model"))
        older = [key for key, each in predictor.items() if key != "model" and "storageUri" in mapping(each)]
        keys = [*older, model.get("runtime"), dig(model, "modelFormat", "name"), model.get("protocolVersion")]
        commands = [each.get("command") for each in containers]
        said = [each for each in keys if each] + [" ".join(map(str, each)) for each in commands if each]
        found.append(" ".join(map(str, said)))
    return sorted(found)


def given(manifests: str, name: str) -> dict[str, Any]:
    """Return what each model server is given: arguments and environment, by what people call them."""
    found: dict[str, Any] = {}
    for service, _, containers in _predictors(manifests, name):
        for container in containers:
            place = f"of {service}" + (f" ({container['name']})" if "name" in container else "")
            found |= {f"{key} {place}": container[key] for key in ("args", "envFrom") if container.get(key)}
            for _, variable in entries(container.get("env")):
                found[f"env {variable.get('name')} {place}"] = variable
    return found


def _predictors(manifests: str, name: str) -> Iterator[tuple[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]]:
    """Yield the name of each InferenceService, its predictor, and the containers that serve."""
    for document in documents.parse(manifests, name):
        if document.get("kind") == "InferenceService":
            predictor = mapping(dig(document, "spec", "predictor"))
            model = mapping(predictor.get("model"))
            containers = [each for _, each in entries([model, *(predictor.get("containers") or ())])]
            yield str(dig(document, "metadata", "name")), predictor, containers
