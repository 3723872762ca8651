"""What the chart would ask every canary, wherever its values come from, held against an application's golden file."""

import pytest
import yaml

from ci import project
from ci.behaviour import golden as goldens
from ci.behaviour.known_answer import known_answer
from ci.checks import golden
from ci.tree.quarantine import Entry
from tests.harness import project as projects
from tests.harness.project import CHART_FOLDER, TREE

NAME = "fraud-score"
FILE = f"golden/{NAME}.yaml"
QUESTIONS = {
    "name": NAME,
    "version": 1,
    "source": "made for a test",
    "known": "first",
    "gates": {"all": {"agreement": 0}},
    "inputs": [{"id": "first", "instance": [1.5], "expected": 7}],
}
RIGHT = known_answer(goldens.checked(QUESTIONS, FILE), NAME)


def values(known):
    return yaml.safe_dump({"exampleModel": {"knownAnswer": known}})


def checked(made, **chosen):
    """What is found in a project, each with the application's name."""

    def look(found):
        return golden.findings(made.folder, made.project, found.judged, found.applications)

    return made.judged(look, **chosen)


@pytest.fixture
def made(tmp_path):
    made = projects.made(tmp_path, environments=("lab",), applications=[NAME])
    made.write(FILE, yaml.safe_dump(QUESTIONS))
    return made


@pytest.fixture
def found(made):
    """The findings, once values were written into files of the project."""

    def look(own=None, tree=None, chart=None):
        if own is not None:
            made.deploy("lab", NAME, values={"exampleModel": {"knownAnswer": own}})
        made.write(f"{TREE}/lab/values.yaml", "{}\n" if tree is None else tree)
        if chart is not None:
            made.write(f"{CHART_FOLDER}/values/lab.yaml", chart)
        return [each for _, each in checked(made)]

    return look


@pytest.mark.parametrize(
    "given",
    [
        {"own": RIGHT},
        {"tree": values(RIGHT)},
        {"chart": values(RIGHT)},
        {"own": {"expected": 7}, "tree": values({**RIGHT, "expected": 8})},
        {"own": {"path": RIGHT["path"]}, "tree": values({"at": RIGHT["at"]}), "chart": values({**RIGHT, "at": "$"})},
    ],
    ids=["its own", "of the tree", "of the chart", "its own over the tree's", "of all three"],
)
def test_a_known_answer_is_right_wherever_it_comes_from(found, given):
    assert found(**given) == []


UNSAID = {key: value for key, value in RIGHT.items() if key not in ("absolute", "relative")}


@pytest.mark.parametrize("expected", ["weather", 7])
def test_a_tolerance_that_neither_says_is_none(made, found, expected):
    made.write(FILE, yaml.safe_dump({**QUESTIONS, "inputs": [{**QUESTIONS["inputs"][0], "expected": expected}]}))
    assert found(own={**UNSAID, "expected": expected}) == []


def test_a_tolerance_that_the_golden_file_has_is_asked_of_the_chart(made, found):
    made.write(FILE, yaml.safe_dump({**QUESTIONS, "tolerance": {"absolute": 0.5}}))
    (finding,) = found(own=UNSAID)
    assert "knownAnswer.absolute: 0.0, but golden inputs" in finding.message
    assert "with 0.5" in finding.message
    assert found(own={**UNSAID, "absolute": 0.5}) == []


@pytest.mark.parametrize(
    ("given", "file", "said"),
    [
        ({}, f"{TREE}/lab/{NAME}.yaml", "exampleModel.knownAnswer: not there"),
        ({"tree": values({**RIGHT, "expected": 8})}, f"{TREE}/lab/values.yaml", "knownAnswer.expected: 8"),
        ({"chart": values({**RIGHT, "expected": 8})}, f"{CHART_FOLDER}/values/lab.yaml", "knownAnswer.expected: 8"),
        (
            {"own": {"expected": 8}, "tree": values(RIGHT)},
            f"{TREE}/lab/{NAME}.yaml",
            "exampleModel.knownAnswer.expected: 8",
        ),
        ({"own": RIGHT, "tree": values({"header": "x"})}, f"{TREE}/lab/{NAME}.yaml", "knownAnswer.header: unknown"),
    ],
    ids=["nowhere", "wrong in the tree", "wrong in the chart", "wrong over the tree's", "more in the tree"],
)
def test_one_that_is_not_the_golden_files_is_found(found, given, file, said):
    (finding,) = found(**given)
    assert said in finding.message
    assert finding.file == file


@pytest.mark.parametrize(
    ("has", "bump"),
    [
        ({}, "bump model"),
        ({"model": {"version": "", "storageUri": "", "digest": ""}}, "bump image"),
        ({"model": {"version": "9", "storageUri": "oci://registry.example.com/m:9", "digest": ""}}, "bump model"),
    ],
)
@pytest.mark.parametrize("questions", [QUESTIONS, {key: QUESTIONS[key] for key in QUESTIONS if key != "known"}])
def test_what_is_missing_is_written_by_the_bump_of_what_has_the_model(made, has, bump, questions):
    made.write(FILE, yaml.safe_dump(questions))
    path = made.deploy("lab", NAME, values={"exampleModel": {"drainSeconds": 3}})
    file = made.folder / path
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **has}, sort_keys=False))

    ((_, finding),) = checked(made)

    assert bump in finding.remedy
    if finding.file == path:
        assert file.read_text().splitlines()[finding.line - 1].strip() == "exampleModel:"


@pytest.mark.parametrize(
    ("tree", "warned"),
    [
        ("{}\n", True),
        ("canary: {analysis: {knownAnswer: false}}\n", False),
        ("features: {canaryDeployment: false}\n", False),
        (values(RIGHT), False),
    ],
    ids=["as recorded", "not asked", "no canary", "by hand"],
)
def test_a_golden_file_without_a_known_input_leaves_the_chart_nothing_to_ask(made, found, tree, warned):
    made.write(FILE, yaml.safe_dump({key: value for key, value in QUESTIONS.items() if key != "known"}))
    told = found(tree=tree)
    assert [(each.file, each.severity) for each in told] == [(FILE, "warning")] * warned
    assert all("the chart asks no canary a question" in each.message for each in told)


def test_a_file_that_is_no_text_is_found_as_the_stage_would_refuse_it(made, found):
    made.write(
        FILE, yaml.safe_dump({**QUESTIONS, "source": "made in M\u00fcnchen"}, allow_unicode=True).encode("latin-1")
    )
    (finding,) = found(own=RIGHT)
    assert finding.file == FILE
    assert "no YAML: 'utf-8' codec can't decode byte 0xfc" in finding.message


def test_values_that_are_no_yaml_are_left_to_helm(found):
    assert found(own=RIGHT, tree="a: [\n") == []


@pytest.fixture
def environments(tmp_path):
    """What is found in each environment of a project whose golden file has another answer since model 8."""
    made = projects.made(tmp_path, applications=[NAME])
    made.write(FILE, yaml.safe_dump(QUESTIONS))

    def look(models, known, **chosen):
        for environment, model in models.items():
            path = made.deploy(environment, NAME, values={"exampleModel": {"knownAnswer": known[environment]}})
            content = yaml.safe_load((tmp_path / path).read_text())
            made.write(path, yaml.safe_dump({**content, **model}))
        found = made.judged(
            lambda found: golden.findings(made.folder, made.project, found.judged, found.applications), **chosen
        )
        return [name for name, _ in found]

    return look


def model(version, **more):
    return {"model": {"version": version, "storageUri": f"s3://acme/{version}", "digest": "", **more}}


def image(tag):
    return {
        "model": {"version": "", "storageUri": "", "digest": ""},
        "image": {"repository": "registry.example.com/own", "tag": tag, "digest": ""},
    }


OLD = {**RIGHT, "expected": 6}


@pytest.mark.parametrize("chosen", [{}, {"environment": "live"}], ids=["all", "a later one alone"])
@pytest.mark.parametrize(
    ("new", "old"),
    [
        (model("8"), model("7")),
        (model("8", digest="sha256:" + "8" * 64), model("8", digest="sha256:" + "7" * 64)),
        (image("8"), image("7")),
    ],
    ids=["a version", "other files", "in an image"],
)
def test_an_earlier_model_has_the_known_answer_that_it_came_with(environments, new, old, chosen):
    models = {"lab": new, "trial": old, "live": old}
    assert environments(models, {"lab": RIGHT, "trial": OLD, "live": OLD}, **chosen) == []


def test_the_model_that_the_first_environment_runs_is_held_to_the_golden_file_wherever_it_runs(environments):
    models = {"lab": model("8"), "trial": model("8"), "live": model("7")}
    assert environments(models, {"lab": RIGHT, "trial": OLD, "live": OLD}) == [f"trial/{NAME}"]
    assert environments(models, {"lab": OLD, "trial": RIGHT, "live": RIGHT}) == [f"lab/{NAME}"]


def test_after_a_rollback_of_the_first_environment_its_own_answer_is_a_warning_and_others_are_left_alone(
    environments, tmp_path
):
    models = {"lab": model("7"), "trial": model("7"), "live": model("6")}
    known = {"lab": OLD, "trial": OLD, "live": {**OLD, "expected": 5}}
    assert environments(models, known) == [f"lab/{NAME}", f"trial/{NAME}"], "as if the golden file had been changed"

    bad, good = ({f"model.{key}": value for key, value in model(each)["model"].items()} for each in ("8", "7"))
    entry = Entry(NAME, "lab", bad, "wrong", "today", back=good)
    projects.Made(tmp_path).write(entry.file(project.load(tmp_path)), entry.content(project.load(tmp_path)))

    assert environments(models, known) == [f"lab/{NAME}"]
    made = projects.Made(tmp_path)
    ((_, finding),) = made.judged(
        lambda found: golden.findings(made.folder, made.project, found.judged, found.applications)
    )
    assert finding.severity == "warning"
    assert "exampleModel.knownAnswer.expected: 6, but " in finding.message
    assert f"{FILE} is of the model that was taken back in lab" in finding.message
    assert environments({**models, "lab": model("9")}, {**known, "lab": RIGHT}) == []
    assert environments({**models, "lab": model("9")}, known) == [f"lab/{NAME}"], "held again from the next bump on"


def test_a_first_environment_that_lacks_the_application_is_not_asked(environments, tmp_path):
    (tmp_path / TREE / "lab" / f"{NAME}.yaml").unlink()
    assert environments({"trial": model("8"), "live": model("7")}, {"trial": OLD, "live": OLD}) == [f"trial/{NAME}"]


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("golden/fraud-scores.yaml", f"call it {NAME}.yaml"),
        (f"golden/{NAME}.yml", f"call it {NAME}.yaml"),
        ("golden/churn.yaml", "call it as its application, NAME.yaml, or remove it"),
    ],
    ids=["misspelled", "another ending", "of nothing like it"],
)
def test_a_golden_file_that_is_no_applications_is_told_with_the_name_it_may_mean(tmp_path, path, remedy):
    made = projects.made(tmp_path, environments=("lab",), applications=[NAME, "price-rank"])
    made.write("golden/price-rank.yaml", yaml.safe_dump({**QUESTIONS, "name": "price-rank"}))
    made.write("golden/rows.py", "ROWS = []\n")
    made.write(path, yaml.safe_dump(QUESTIONS))
    (finding,) = golden.strays(made.folder, made.project)
    assert (finding.file, finding.severity, finding.remedy) == (path, "warning", remedy)


def test_nobody_is_told_to_write_over_a_golden_file_that_is_there(made):
    made.write("golden/fraud-scores.yaml", yaml.safe_dump(QUESTIONS))
    (finding,) = golden.strays(made.folder, made.project)
    assert "NAME.yaml" in finding.remedy


def test_a_golden_file_of_one_environments_application_is_no_stray(tmp_path):
    made = projects.made(tmp_path, applications=[])
    made.write(FILE, yaml.safe_dump(QUESTIONS))
    assert len([*golden.strays(made.folder, made.project)]) == 1
    made.deploy("live", NAME)
    assert [*golden.strays(made.folder, made.project)] == []
