"""Break-glass: a set into a protected environment without evidence, which the commit says, and why."""

from collections.abc import Mapping

from ci.base.errors import UsageError
from ci.base.progress import note
from ci.project import Environment
from ci.release import reason as reasons
from ci.tree.message import BREAK_GLASS


def require(place: Environment, reason: str | None, refused: UsageError | None) -> Mapping[str, str]:
    """Refuse a change that an environment takes only with evidence, unless a person gives the reason to do without.

    Args:
        place: What changes.
        reason: What `--break-glass` has; None where it is not given.
        refused: Why the environment does not take the change; None where it does.

    Returns:
        The trailers of the commit.

    Raises:
        UsageError: The change is refused, the reason is empty, or there is nothing that it would be for.
    """
    if reason is None:
        if refused is not None:
            raise refused
        return {}
    if refused is None:
        why = "the evidence is given" if place.protected else f"{place.name} is not protected"
        raise UsageError(f"--break-glass: {why}", fix="Leave it out.")
    said = reasons.of("--break-glass", reason)
    note(f"break-glass: {place.name} takes this without evidence: {said}")
    return {BREAK_GLASS: said}
