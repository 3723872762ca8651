"""Schedules: taken only where every reader takes them for the same; tests/upstream asks Argo CD."""

import pytest

from ci.base import schedule
from ci.base.errors import UsageError

TAKEN = (
    "0 7 * * 1-5", "*/15 * * * *", "0 0-20/4 1,15 * *", "30 22 * jan-mar MON,wed-FRI", "0 0 * * */2", "0 0 */3 * *",
    "0 0 13 * 5", "59 23 31 12 6", "0 0 * * 0",
)  # fmt: skip
REFUSED = (
    ("7 * * 1-5", "not cron's five fields"),
    ("0 0 7 * * 1-5", "not cron's five fields"),
    ("0 7  * * 1-5", "not cron's five fields"),
    ("@daily", "not cron's five fields"),
    ("TZ=UTC 0 7 * * *", "not cron's five fields"),
    ("0 7 ? * *", "not cron's five fields"),
    ("0 7 * * 1#2", "not cron's five fields"),
    ("0 7 * * 7", "to Argo CD, Sunday is 0, not 7"),
    ("0 7 * * 5-7", "to Argo CD, Sunday is 0, not 7"),
    ("0 7 * * 5L", "Argo CD does not know 5L"),
    ("0 7 L * *", "Argo CD does not know L"),
    ("0 7 LW * *", "Argo CD does not know LW"),
    ("0 7 15W * *", "bad day-of-month"),
    ("60 7 * * *", "bad minute"),
    ("0 24 * * *", "bad hour"),
    ("0 7 0 * *", "bad day-of-month"),
    ("0 7 * 13 *", "bad month"),
    ("0 7 * * fri-mon", "bad day-of-week"),
    ("0 7 * feb-31 *", "bad month"),
    ("*/0 * * * *", "bad minute"),
    ("1,,2 * * * *", "bad minute"),
    ("*/99999999999999999999 * * * *", "no number has more than two digits"),
    ("5/15 * * * *", "5/15 is read in two ways"),
    ("5-5/2 * * * *", "5-5/2 is read in two ways"),
    ("0 7 * * 1/3", "1/3 is read in two ways"),
    ("0 7 */2 * 1", "whether both days must be right"),
    ("0 7 1 * *,2", "whether both days must be right"),
)


@pytest.mark.parametrize("text", TAKEN)
def test_what_every_reader_takes_for_the_same_is_taken(text):
    assert schedule.checked(text) == text


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_one_refuses_or_reads_otherwise_is_refused_by_name(text, said):
    with pytest.raises(UsageError) as refused:
        schedule.checked(text)
    assert refused.value.message.startswith(repr(text))
    assert said in refused.value.message
