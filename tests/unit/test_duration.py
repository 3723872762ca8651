"""Durations, as people write them in the tree and in a Rollout."""

import pytest

from ci.base.duration import seconds
from ci.base.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30),
        ("10m", 600),
        ("1h", 3600),
        ("2d", 172800),
        ("45", 45),
        (45, 45),
        ("1.5m", 90),
        ("1h30m", 5400),
        ("1m30s", 90),
        ("1d12h", 129600),
        ("500ms", 0.5),
        ("0s", 0),
    ],
)
def test_a_duration_is_a_number_of_seconds(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "soon", "10 minutes", "-5s", "5w", "1h30", "30m!5s", "1h 30m", "h", "1.m", "٣m"])
def test_what_is_none_is_named(text):
    with pytest.raises(UsageError, match="not a duration such as"):
        seconds(text)
