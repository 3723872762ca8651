"""Which stages run: --only brings what they need, --skip breaks nothing."""

import contextlib
import importlib
import inspect

import pytest

from ci.base.errors import CheckFailedError, UsageError
from ci.results import Finding, Report
from ci.stages.order import ORDER, chosen, left_out
from ci.stages.run import Options, Run
from ci.stages.scope import Scope
from ci.tree import tree
from ci.tree.change import Change


def names(only: list[str], skip: list[str]) -> list[str]:
    return [stage.name for stage in chosen(only, skip)]


def test_all_by_default_in_the_order_of_the_list():
    assert names([], []) == [stage.name for stage in ORDER]


def test_only_brings_what_a_stage_stands_on():
    assert names(["canary"], []) == ["cluster", "stack", "install", "canary"]


def test_skip_leaves_out_just_that():
    assert names([], ["integration"]) == [stage.name for stage in ORDER if stage.name != "integration"]


def test_skipping_what_another_stage_needs_is_refused():
    with pytest.raises(UsageError, match=r"--skip stack: .* needs it"):
        chosen([], ["stack"])


@pytest.mark.parametrize(
    ("only", "skip"),
    [(["lint"], ["lint"]), (["lint", "template"], ["template", "lint"]), ([], [s.name for s in ORDER])],
)
def test_a_run_of_no_stage_is_refused_for_it_would_be_green(only: list[str], skip: list[str]):
    with pytest.raises(UsageError, match="no stage is left to run"):
        chosen(only, skip)


def test_an_empty_name_is_no_stage():
    with pytest.raises(UsageError, match="an empty name: no such stage"):
        chosen([""], [])


@pytest.mark.parametrize(("only", "skip"), [(["canry"], []), ([], ["canry"])])
def test_an_unknown_stage_is_named(only: list[str], skip: list[str]):
    with pytest.raises(UsageError, match="canry"):
        chosen(only, skip)


def test_a_run_of_applications_alone_is_not_about_the_platform():
    alone = chosen([], [], platform=False)
    assert "applications" in [stage.name for stage in alone]
    assert left_out(alone, platform=False) == [], "it leaves nothing out"
    assert left_out(alone), "which is not so where the platform is in the change"


def test_where_nothing_is_served_no_cluster_is_made():
    alone = chosen([], [], platform=False, served=False)
    assert [stage.name for stage in alone] == ["lint", "template"]
    assert left_out(alone, platform=False, served=False) == [], "it leaves nothing out"


def test_a_stage_stands_only_on_earlier_ones():
    seen: set[str] = set()
    for stage in ORDER:
        assert set(stage.needs) <= seen
        seen.add(stage.name)


def test_an_existing_cluster_gets_only_the_stages_that_it_can_have():
    assert "gitops" not in [stage.name for stage in chosen([], [], existing=True)]
    assert "gitops" in [stage.name for stage in chosen([], [])]
    assert "gitops" in [stage.name for stage in chosen(["gitops"], [], existing=True)], (
        "asked for by name, it says why not"
    )


@pytest.mark.parametrize("stage", ORDER, ids=lambda stage: stage.name)
def test_every_stage_is_a_function_that_takes_the_run(stage):
    module, _, name = stage.function.partition(".")
    function = getattr(importlib.import_module(f"ci.stages.{module}"), name)
    assert inspect.iscoroutinefunction(function)
    assert list(inspect.signature(function).parameters) == ["run"]


@pytest.mark.parametrize(
    ("application", "malformed", "untouched", "red"),
    [
        (None, {"tree/lab/b.yaml": "no YAML"}, {}, True),
        ("b", {"tree/lab/b.yaml": "no YAML"}, {}, True),
        ("lab/b", {"tree/lab/b.yaml": "no YAML"}, {}, True),
        ("a", {"tree/lab/b.yaml": "no YAML"}, {}, False),
        ("live/b", {"tree/lab/b.yaml": "no YAML"}, {}, False),
        (None, {}, {"tree/lab/b.yaml": "no YAML"}, False),
        (None, {}, {}, True),
    ],
    ids=[
        "everything",
        "itself",
        "itself by its environment",
        "another one",
        "of another environment",
        "as it was",
        "not malformed",
    ],
)
def test_what_is_wrong_with_a_file_that_is_none_of_what_is_proven_is_told_and_fails_nothing(
    application, malformed, untouched, red, tmp_path
):
    asked = tree.asked(application) if application is not None else None
    options = Options(tmp_path, None, False, None, None, False, tmp_path, asked)
    scope = Scope(Change(None, "", malformed=malformed, untouched=untouched), None, None)
    run = Run(options, None, Report("test", ""), None, scope=scope)

    with pytest.raises(CheckFailedError, match=r"tree/lab/b\.yaml") if red else contextlib.nullcontext():
        run.judge([Finding("tree", "tree/lab/b.yaml", 2, "no YAML", "correct it")])

    assert [each.message for each in run.report.findings] == ["no YAML"]
