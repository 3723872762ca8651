"""What scenarios.yaml says."""

from collections.abc import Sequence
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

FILE = Path(__file__).with_name("scenarios.yaml")


class Fault(BaseModel):
    """A mistake that somebody might make.

    Attributes:
        file: Of the checkout.
        text: What stands in it, once.
        instead: What the mistake is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    file: str
    text: str
    instead: str

    def make(self, root: Path) -> None:
        """Make it in a checkout.

        Args:
            root: The checkout.

        Raises:
            ValueError: The file does not have the text, or more than once.
        """
        file = root / self.file
        content = file.read_text()
        if content.count(self.text) != 1:
            raise ValueError(f"{self.file} has {content.count(self.text)} times, not once: {self.text}")
        file.write_text(content.replace(self.text, self.instead))


class Scenario(BaseModel):
    """One scenario of the suite.

    Attributes:
        name: Of it.
        stage: Of `test`, which it is a part of.
        proves: What holds where it is green.
        tests: FILE or FILE::FUNCTION of tests/integration; none where the stage is no pytest.
        fault: Turns it red.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str
    stage: str
    proves: str
    tests: tuple[str, ...] = ()
    fault: Fault

    def has(self, test: str) -> bool:
        """Tell whether a test is of this scenario.

        Args:
            test: FILE::FUNCTION, with parameters or without.
        """
        return any(f"{test}[".startswith((f"{each}[", f"{each}::")) for each in self.tests)


def load() -> Sequence[Scenario]:
    """Return them, in the file's order."""
    return TypeAdapter(list[Scenario]).validate_python(yaml.safe_load(FILE.read_text()))
