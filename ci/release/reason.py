"""The reason for which a person goes over a guard: the commit says it."""

from ci.base.errors import UsageError
from ci.base.text import has_words


def of(option: str, text: str) -> str:
    """Return a reason in one line.

    Args:
        option: The option that gives it.
        text: What a person wrote.

    Raises:
        UsageError: It says nothing.
    """
    said = " ".join(text.split())
    if not has_words(said):
        raise UsageError(f"{option}: it has no reason", fix=f'{option} "REASON", which the commit says')
    return said
