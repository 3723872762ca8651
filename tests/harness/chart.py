"""The tool's chart with a model of the tests' own for its example, or with none."""

import shutil
import textwrap
from pathlib import Path

import yaml

from ci.base.paths import CHART

MODEL = Path(__file__).with_name("model.yaml")
"""The tests' own, as values for Helm."""
EXAMPLE = "exampleModel"
VALUES = yaml.safe_load(MODEL.read_text())[EXAMPLE]


def copy(folder):
    """Copy the chart to a folder that is not there yet."""
    shutil.copytree(CHART, folder)
    with_example(folder)


def umbrella(folder, aliases):
    """Make a chart of charts in a folder, which has this one under each alias."""
    copy(folder / "charts" / "ml-serving")
    dependencies = [
        {"name": "ml-serving", "version": ">=0.0.0-0", "alias": alias, "condition": f"{alias}.enabled"}
        for alias in aliases
    ]
    about = {"apiVersion": "v2", "name": "models", "version": "1.0.0", "dependencies": dependencies}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(about))
    return folder


def with_example(folder):
    """Have the values of a chart be about the model of the tests' own."""
    _write(folder, textwrap.indent(yaml.safe_dump(VALUES, sort_keys=False), "  "))


def without_example(folder):
    """Have the values of a chart say of no model what it is called, where it is, and what serves it."""
    _write(folder, "")


def _write(folder, model):
    file = folder / "values.yaml"
    text = file.read_text()
    ((top, inner),) = (pair for pair in yaml.compose(text).value if pair[0].value == EXAMPLE)
    lines = text.splitlines(keepends=True)
    for key, _ in inner.value:
        if key.value in VALUES:
            place = key.start_mark.line
            commented = lines[place - 1].lstrip().startswith("#")
            lines[place - commented : place + 1] = [""] * (1 + commented)
    lines.insert(top.start_mark.line + 1, model)
    file.write_text("".join(lines))
