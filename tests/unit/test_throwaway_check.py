"""What the project file changes on a throw-away cluster, and the chart does not take, is told by its key and line."""

import pytest
import yaml

from ci import project
from tests.harness import project as projects
from tests.harness.project import CHART_FOLDER, TREE

NAMES = ["lab/fraud-score", "lab/price-rank"]


@pytest.fixture
def made(tmp_path):
    return projects.made(tmp_path, environments=("lab",))


@pytest.fixture
def found(made, chart):
    """What is found, once some lines are at the end of the project file; with the number of the line before them."""

    def look(more):
        file = made.folder / project.FILE
        before = file.read_text()
        file.write_text(before + more)
        return made.on_throwaway(chart.helm), len(before.splitlines())

    return look


@pytest.mark.parametrize(
    ("more", "line", "key", "said"),
    [
        (
            '[throwaway]\n[throwaway.values."*"]\nautoscaling.minReplicas = "many"\n',
            3,
            "throwaway.values.*.autoscaling.minReplicas",
            "got string, want integer",
        ),
        (
            '[throwaway]\nreplicas = 1\n[throwaway.values."*".autoscaling]\nminReplica = 1\n',
            4,
            "throwaway.values.*.autoscaling.minReplica",
            "autoscaling.minReplica: unknown key",
        ),
    ],
    ids=["a wrong type", "an unknown key"],
)
def test_what_the_chart_does_not_take_is_told_with_the_project_files_key(found, more, line, key, said):
    findings, before = found(more)
    assert [name for name, _ in findings] == NAMES
    ((check, file, number, message),) = {(each.check, each.file, each.line, each.message) for _, each in findings}
    assert (check, file, number) == ("throwaway", project.FILE, before + line)
    assert message.startswith(f"{key}: ")
    assert said in message


def test_what_is_for_one_application_is_told_of_that_one(found):
    findings, _ = found('[throwaway.values.price-rank]\nexampleModel.drainSeconds = "3"\n')
    assert [name for name, _ in findings] == ["lab/price-rank"]


def test_what_a_template_refuses_is_told_with_all_that_is_changed(made, found):
    made.write(
        f"{CHART_FOLDER}/templates/limit.yaml",
        '{{- if lt (int .Values.autoscaling.maxReplicas) 2 }}{{ fail "too few pods" }}{{ end }}\n',
    )
    findings, before = found("[throwaway]\nreplicas = 1\n")
    ((line, message),) = {(each.line, each.message) for _, each in findings}
    assert line == before + 2
    assert message.startswith("throwaway.replicas: ")
    assert message.endswith("too few pods")


def test_pauses_that_are_cut_below_what_the_analysis_needs_are_told(found):
    findings, before = found('[throwaway]\nlongest_pause = "20s"\n')
    ((line, message),) = {(each.line, each.message) for _, each in findings}
    assert line == before + 2
    assert message.startswith("throwaway.longest_pause: the chart does not take it on a throw-away cluster: ")
    assert "canary.analysis.initialDelay" in message


@pytest.mark.parametrize("more", ["", '[throwaway]\nreplicas = 1\nlongest_pause = "1m"\n'])
def test_what_the_chart_takes_is_no_finding(found, more):
    assert found(more)[0] == []


TAKEN_AWAY = {
    "exampleModel": {
        "nodeSelector": {"acme.example/pool": "gone"},
        "labels": {"acme.example/team": "gone"},
        "annotations": {"acme.example/why": "gone"},
        "podLabels": {"istio.io/rev": "gone"},
        "podAnnotations": {"acme.example/seen": "gone"},
        "tolerations": [{"key": "gone", "operator": "Exists"}],
        "env": [{"name": "A", "value": "gone"}],
        "args": ["--gone"],
        "imagePullSecrets": [{"name": "gone"}],
        "predictor": {"priorityClassName": "gone"},
        "model": {"envFrom": [{"secretRef": {"name": "gone"}}]},
    },
    "serviceAccount": {"annotations": {"azure.workload.identity/client-id": "gone"}},
}


def test_what_is_taken_away_is_not_rendered_whichever_file_has_it(made, chart):
    made.deploy("lab", "price-rank", values=TAKEN_AWAY)
    made.deploy("lab", "fraud-score")
    made.write(f"{TREE}/lab/values.yaml", yaml.safe_dump({"exampleModel": TAKEN_AWAY["exampleModel"]}))
    file = made.folder / project.FILE
    away = [f"{section}.{key} = {{}}" for section, inner in TAKEN_AWAY.items() for key in inner]
    before = {name: each.text.count("gone") for name, each in made.helm(chart.helm, "template").items()}
    file.write_text(file.read_text() + "\n".join(('[throwaway.values."*"]', *away, "")))

    texts = made.rendered_on_throwaway(chart.helm)

    assert before["lab/price-rank"] > before["lab/fraud-score"] > 0
    assert {name: text.count("gone") for name, text in texts.items()} == dict.fromkeys(NAMES, 0)
    assert made.on_throwaway(chart.helm) == []


def test_an_agent_alone_is_taken_away_and_the_rest_of_the_predictor_stays(made, chart):
    own = {"logger": {"mode": "all", "url": "http://gone"}, "priorityClassName": "stays"}
    made.deploy("lab", "price-rank", values={"exampleModel": {"predictor": own}})
    file = made.folder / project.FILE
    file.write_text(f"{file.read_text()}[throwaway.values.price-rank]\nexampleModel.predictor.logger = {{}}\n")

    text = made.rendered_on_throwaway(chart.helm)["lab/price-rank"]

    assert "logger" not in text
    assert "priorityClassName: stays" in text
    assert "9081" not in text, "requests enter at the server again"
