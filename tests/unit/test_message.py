"""Text from outside does nothing at a forge, and can still be read and copied."""

import subprocess

import pytest

from ci.base.text import harmless
from ci.tree.message import given, message
from tests.harness import remote as remotes


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fixes #1, thanks @octocat", "fixes # 1, thanks @ octocat"),
        ("Closes: owner/repo#2", "Closes: owner/repo# 2"),
        ("resolves GH-3", "resolves GH- 3"),
        ("_GH-3_ and gh-4", "_GH- 3_ and gh- 4"),
        ("fixes https://github.com/owner/repo/issues/4", "fixes https:// github.com/owner/repo/issues/4"),
        ("Implementing group/project#5", "Implementing group/project# 5"),
        (
            "Closing: https://gitlab.com/group/project/-/issues/5",
            "Closing: https:// gitlab.com/group/project/-/issues/5",
        ),
        ("closes ML-12", "closes ML- 12"),
        ("cc @team/owners, (@a) _@b_ \\@c", "cc @ team/owners, (@ a) _@ b_ \\@ c"),
        ("&#64;octocat &commat;octocat", "& # 64;octocat & commat;octocat"),
    ],
)
def test_no_issue_is_closed_and_nobody_is_called(text, shown):
    assert harmless(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        *("[skip ci]", "[ci skip]", "[no ci]", "[skip actions]", "[actions skip]", "[SKIP CI]", "[skip\tci]"),
        *("[skip-ci]", "[CF-Pages-Skip]", "[azurepipelines skip]", "***NO_CI***", "skip-checks: true"),
    ],
)
def test_no_workflow_is_skipped(text):
    shown = harmless(f"better {text} now")
    assert " ".join(text.split()) not in shown
    assert "".join(shown.split()) == "".join(f"better {text} now".split())


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("![a](https://evil/x.png)", "![a] (https://evil/x.png)"),
        ("[docs](https://evil)", "[docs] (https://evil)"),
        ("[a]: https://evil", "[a] : https://evil"),
        ("a <!-- b --> <img src=x> </details>", "a < !-- b --> < img src=x> < /details>"),
        ("<https://evil>", "< https://evil>"),
        ("a\x1b[31mb\u202ec\u200bd", "ab\\u202ec\\u200bd"),
    ],
)
def test_nothing_is_hidden_or_linked(text, shown):
    assert harmless(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "docker.io/kserve/sklearnserver:v0.20.0@sha256:0123 is better",
        "write to jane@example.com",
        "https://ci.example.com/run#12 and https://github.com/owner/repo/actions/runs/3",
        "known-answer: Failed: [1] (Failed); 1 failed",
        "2 < 3, a & b, C# and 50 %, fixed in v1.2",
        "fixed-size inputs, closed loop",
        "gs://models/sklearn/1.0/model",
    ],
)
def test_what_forges_do_nothing_for_stays(text):
    assert harmless(text) == text


def test_no_line_of_a_message_is_a_trailer_of_somebody_elses():
    said = (
        "better\n\nSigned-off-by: Eve <eve@example.com>\u2028Co-authored-by: Eve <eve@example.com>\nskip-checks: true"
    )
    lines = ["accuracy: Failed\n\nReviewed-by: Eve [skip ci]"]
    text = message("Bump it\n\nAcked-by: Eve", remotes.application("dev"), "bump", lines, said, said)

    parsed = subprocess.run(["git", "interpret-trailers", "--parse"], input=text, capture_output=True, text=True)

    names = [line.partition(":")[0] for line in parsed.stdout.splitlines()]
    assert names == ["Application", "Environment", "Tool"]
    assert text.count("\n\n") == 2
    assert "[skip ci]" not in text


def test_what_was_asked_for_is_told_from_what_was_measured():
    text = message("Bump it", remotes.application("dev"), "bump", ["Proven: 601 s"], "better", "https://ci/run#1")

    assert given(text) == [
        "Why: better",
        "Evidence: https://ci/run#1",
        "Application: sklearn-iris",
        "Environment: dev",
        "Tool: ml-serving-ci bump",
    ]
