"""A mapping put into a file of the tree: its own lines change, and no others."""

import pytest
import yaml

from ci.base.errors import UsageError
from ci.tree.blocks import set_block

PATH = ("values", "exampleModel", "knownAnswer")
VALUE = {"protocol": "v1", "request": {"instances": [[5.1, 3]]}, "expected": 0, "absolute": 0.0}
WRITTEN = """\
    knownAnswer:
      protocol: v1
      request:
        instances:
        - [5.1, 3]
      expected: 0
      absolute: 0.0
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1 # one\nvalues: {}\nb: 2\n", f"a: 1 # one\nvalues:\n  exampleModel:\n{WRITTEN}b: 2\n"),
        ("a: 1\nvalues:\n", f"a: 1\nvalues:\n  exampleModel:\n{WRITTEN}"),
        ("a: 1\n", f"a: 1\nvalues:\n  exampleModel:\n{WRITTEN}"),
        ("a: 1", f"a: 1\nvalues:\n  exampleModel:\n{WRITTEN}"),
        (
            "values:\n  slo: {a: 1}\n  exampleModel:\n    replicas: 2 # two\n# end\nb: 2\n",
            f"values:\n  slo: {{a: 1}}\n  exampleModel:\n    replicas: 2 # two\n{WRITTEN}# end\nb: 2\n",
        ),
        (
            "values:\n  exampleModel:\n    # asked\n    knownAnswer:\n      a: 1\n    replicas: 2\n",
            f"values:\n  exampleModel:\n    # asked\n{WRITTEN}    replicas: 2\n",
        ),
        (
            "values:\n  exampleModel:\n    knownAnswer: {}\n  slo: {}\n",
            f"values:\n  exampleModel:\n{WRITTEN}  slo: {{}}\n",
        ),
    ],
)
def test_its_own_lines_are_set_and_all_others_stay(before, after):
    edited = set_block(before.encode(), PATH, VALUE)

    assert edited.decode() == after
    assert yaml.safe_load(edited)["values"]["exampleModel"]["knownAnswer"] == VALUE
    assert set_block(edited, PATH, VALUE) == edited


def test_line_breaks_and_a_byte_order_mark_stay():
    before = b"\xef\xbb\xbfa: 1\r\nvalues: {}\r\n"

    edited = set_block(before, PATH, VALUE)

    assert edited.startswith(b"\xef\xbb\xbfa: 1\r\nvalues:\r\n")
    assert edited.count(b"\n") == edited.count(b"\r\n")


@pytest.mark.parametrize("before", ["values: {exampleModel: {replicas: 2}}\n", "values: &v\n  a: 1\nother: *v\n"])
def test_what_has_no_lines_of_its_own_is_refused_by_name(before):
    with pytest.raises(UsageError, match=r"dev/x.yaml: values\.exampleModel\.knownAnswer cannot be set") as told:
        set_block(before.encode(), PATH, VALUE, "dev/x.yaml")
    assert "protocol: v1" in told.value.fix
