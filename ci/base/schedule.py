"""When something happens again and again, as cron and Argo CD both read it.

Argo CD reads a sync window's schedule with robfig/cron (https://github.com/robfig/cron/blob/v3/parser.go), which runs
nowhere here. Taken is what it and cron's own readers make the same of; tests/upstream holds that against Argo CD.
"""

import re
from datetime import UTC, datetime

from cronsim import CronSim, CronSimError
from cronsim.cronsim import Field

from ci.base.errors import UsageError

FORM = re.compile(r"[0-9A-Za-z*,/-]+( [0-9A-Za-z*,/-]+){4}")
EXAMPLE = "0 7 * * 1-5"
LONG = re.compile(r"[0-9]{3}")
FIELDS = (Field.MINUTE, Field.HOUR, Field.DAY, Field.MONTH, Field.DOW)
SUNDAY = 7
"""Cron's other name for day 0, which Argo CD does not know."""
ANY_DAY = datetime(2000, 1, 1, tzinfo=UTC)
"""For a parser that wants to know where to begin; nothing is computed from there."""


def checked(schedule: str) -> str:
    """Return a schedule, once every reader is seen to take it for the same.

    Args:
        schedule: Cron's five fields: minute, hour, day of the month, month, day of the week.

    Raises:
        UsageError: It is none, or one that two readers read differently.
    """
    if not FORM.fullmatch(schedule):
        raise UsageError(f"{schedule!r}: not cron's five fields, such as {EXAMPLE}")
    if LONG.search(schedule):
        raise UsageError(f"{schedule!r}: no number has more than two digits, as in {EXAMPLE}")
    try:
        CronSim(schedule, ANY_DAY)
    except CronSimError as error:
        raise UsageError(f"{schedule!r}: {str(error).lower()}: not a schedule such as {EXAMPLE}") from error
    fields = schedule.upper().split()
    for kind, field in zip(FIELDS, fields, strict=True):
        for item in field.split(","):
            _require_plain(schedule, kind, item)
    days = fields[FIELDS.index(Field.DAY)], fields[FIELDS.index(Field.DOW)]
    if "*" not in days and any("*" in each for each in days):
        said = "whether both days must be right or one of them is read in two ways: write * for one of the two"
        raise UsageError(f"{schedule!r}: {said}")
    return schedule


def _require_plain(schedule: str, kind: Field, item: str) -> None:
    """Refuse what is not read by everybody, or not the same by all."""
    start, step, _ = item.partition("/")
    if start == "*":
        return
    found = kind.parse(start)
    if not all(isinstance(each, int) and each >= 0 for each in found):
        raise UsageError(f"{schedule!r}: Argo CD does not know {item}")
    if kind is Field.DOW and SUNDAY in found:
        raise UsageError(f"{schedule!r}: to Argo CD, Sunday is 0, not {SUNDAY}")
    if step and len(found) == 1:
        raise UsageError(f"{schedule!r}: {item} is read in two ways: write the range, such as 0-30/10")
