"""What the pinned Prometheus says of expressions, as the checks use it."""

import anyio
import pytest

from ci.base.errors import MachineError
from ci.canary import engine
from ci.manifests.series import Selector
from ci.project import Prometheus
from ci.stack import monitoring


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("up", {"up"}),
        ("rate(a[4m + 1m]) / on (x) group_left (y) sum by (x) (-b offset 5m)", {"a", "b"}),
        ("(a{x='1'} > bool 1) unless max_over_time(b[5m:1m] @ end())", {"a", "b"}),
        ("quantile(scalar(a), label_replace(b, 'x', '$1', 'y', '(.*)'))", {"a", "b"}),
        ('{"a.b"} + {__name__="c"} + {"d:e", x="1"}', {"a.b", "c", "d:e"}),
        ('{__name__=~"a.*", x="1"}', set()),
        ("1 + time()", set()),
        ("sum(", set()),
    ],
)
def test_the_names_that_an_expression_reads(read, text, names):
    assert read([text])[text].names == names


def test_a_selectors_labels_are_those_that_must_have_one_value(read):
    text = 'a{x="1", y!="2", z=~"3", "v.w"="4"} / {__name__="b"}'

    assert read([text])[text].selectors == (Selector("a", {"x": "1", "v.w": "4"}), Selector("b", {}))


@pytest.mark.parametrize(
    ("text", "no_value"),
    [
        ("up[5m]", "a range vector"),
        ("((up[5m]))", "a range vector"),
        ("up[5m:1m] offset 1h", "a range vector"),
        ("rate(up[5m])[1h:]", "a range vector"),
        ('"x"', "a string"),
        ("last_over_time(up[5m])", ""),
        ("-up", ""),
        ("1", ""),
        ('label_replace(up, "a", "b", "c", "d")', ""),
    ],
)
def test_what_has_no_value_of_one_moment_is_told(read, text, no_value):
    assert read([text])[text].no_value == no_value


def test_every_text_is_read_whatever_is_said_of_another(read):
    texts = {"a", "b c", "", "\ud800", "ü &=+%;", 'x{y="ü &=+%;"}'}
    found = read(texts)

    assert found.keys() == texts
    assert {text for text in texts if not found[text].error} == {"a", 'x{y="ü &=+%;"}'}
    assert found['x{y="ü &=+%;"}'].selectors == (Selector("x", {"y": "ü &=+%;"}),)


def test_no_prometheus_of_the_stack_has_a_feature_that_the_reader_has_not():
    assert "enableFeatures" not in monitoring.prometheus("prometheus:v3", Prometheus())["spec"]


def test_a_missing_prometheus_is_told_as_any_missing_program(tmp_path):
    async def started():
        async with engine.empty(tmp_path / "prometheus"):
            pass

    with pytest.raises(MachineError, match="prometheus"):
        anyio.run(started)
