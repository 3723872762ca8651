"""Canaries played side by side, each application's by itself, with all that they need to get through their steps."""

import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from ci.checks.control_plane.inside import answers, kubelet
from ci.checks.control_plane.inside.answers import Moment
from ci.checks.control_plane.inside.api import Api, Document
from ci.checks.control_plane.inside.course import Course, DeviationError, require_taken
from ci.checks.control_plane.inside.look import Seen
from ci.checks.control_plane.inside.processes import Running

LOOK_SECONDS = 0.15


@dataclass
class Player:
    """Plays the Rollouts of one application, one after another: they may share their AnalysisTemplates.

    Attributes:
        application: Its name.
        port: Where its analyses are answered.
        templates: AnalysisTemplates as they are played.
        courses: The Rollouts'.
        told: What came of each.
    """

    application: str
    port: int
    templates: Sequence[Document]
    courses: Sequence[Course]
    told: list[Document] = field(default_factory=list)

    @classmethod
    def of(cls, given: Document) -> "Player":
        """Return one as it was written down.

        Args:
            given: {"application", "port", "templates", "courses"}, each course with what `Course` is made of.
        """
        return cls(**{**given, "courses": [Course(**each) for each in given["courses"]]})

    def play(self, api: Api) -> Generator[None, Seen, None]:
        """Play all of them.

        Args:
            api: The API server.
        """
        for course in self.courses:
            wrong = None
            try:
                for template in self.templates:
                    require_taken(api.apply(template))
                yield from course.play(api)
            except DeviationError as error:
                wrong = error.told
            self.told.append({"application": self.application, **course.told, "wrong": wrong})

    def moment(self, api: Api) -> Moment:
        """Return what its analyses are answered now."""
        return self.courses[min(len(self.told), len(self.courses) - 1)].moment(api)


def play(plane: Running, players: Sequence[Player]) -> list[Document]:
    """Play applications side by side.

    Args:
        plane: On which they are applied.
        players: Theirs.

    Returns:
        What came of each Rollout: {"application", "rollout", "weights", "promoted", "by", "wrong"}, as `Course` has
        them, and what a `DeviationError` says.
    """
    answers.load()
    plane.start(answers.PROMETHEUS)
    with kubelet.ready(plane.api), ExitStack() as stack:
        for each in players:
            stack.enter_context(answers.served(each.port, partial(each.moment, plane.api)))
        running = [each.play(plane.api) for each in players]
        for playing in running:
            next(playing)
        while running:
            time.sleep(LOOK_SECONDS)
            seen = Seen.now(plane.api)
            running = [each for each in running if _goes_on(each, seen)]
    return [told for each in players for told in each.told]


def _goes_on(playing: Generator[None, Seen, None], seen: Seen) -> bool:
    """Give a player what there is now, and tell whether it is under way still."""
    try:
        playing.send(seen)
    except StopIteration:
        return False
    return True
