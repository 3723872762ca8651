"""Application files and charts of any content deploy what the tool reads and renders of them, or are refused."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ci import project as projects
from ci.base.errors import CIError
from ci.manifests import documents
from ci.tree import application_set, render, tree
from tests.harness import deployed
from tests.harness.deployed import PLAIN, Found, Repository
from tests.upstream.test_argo_cd_yaml import TREES, WORDS

FILES = 12
"""Application files in an example: one question each to one process of Argo CD's code."""
CHARTS = 3
TOML = deployed.toml(("live",))
PROJECT = projects.parse(TOML.encode())
REFUSED_FILES = 0.8
REFUSED_CHARTS = 0.8
"""Shares of what is generated that may be refused; half of the files and a quarter of the charts were."""

PRINTED = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co")), max_size=6)
ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)


def escaped(text):
    """A text within double quotes, with what cannot stand there as its code."""
    plain = {char: char if char.isprintable() and char not in '"\\' else f"\\U{ord(char):08x}" for char in text}
    return f'"{"".join(plain[char] for char in text)}"'


QUOTED = PRINTED.map(lambda text: "'" + text.replace("'", "''") + "'") | ANY.map(escaped)
LINES = st.lists(st.sampled_from(["x", " y", "", "# z", "a: b", "\t", "é😀"]), min_size=1, max_size=4)
BLOCKS = st.tuples(st.sampled_from(["|", ">", "|-", ">-", "|+", ">+"]), LINES).map(
    lambda each: "\n".join([each[0], *(f"      {line}" for line in each[1])])
)
VALUES = st.one_of(TREES, QUOTED, st.sampled_from(WORDS), BLOCKS)
KEYS = st.from_regex("[a-z]{2,6}", fullmatch=True) | QUOTED
OWN = st.sampled_from(["main", "''", '""', "s3://b/m/1", "sha256:ab", "a:b"]) | QUOTED | st.sampled_from(WORDS)
MODEL = st.dictionaries(KEYS, VALUES, max_size=3)


@st.composite
def applications(draw):
    """The file of an application."""
    one = st.sampled_from(["v1", "'1.10'", '"x/y"'])
    rare = st.integers(0, 9).flatmap(lambda drawn: OWN if drawn == 0 else one)
    parts = {
        "chart": [f"  revision: {draw(rare)}"],
        "model": [f"  {key}: {draw(rare)}" for key in draw(st.permutations(["version", "storageUri", "digest"]))],
        "image": [f"  {key}: {draw(rare)}" for key in draw(st.permutations(["repository", "tag", "digest"]))],
        "values": [
            *(f"  {key}: {value}" for key, value in draw(MODEL).items()),
            *(["  exampleModel:", *(f"    {key}: {value}" for key, value in draw(MODEL).items())]),
        ],
    }
    more = draw(st.dictionaries(st.sampled_from(["owner", "environment", "path", "cluster"]), TREES, max_size=1))
    lines = [f"{key}: {value}" for key, value in more.items()]
    for name in draw(st.permutations(list(parts))):
        lines += [f"{name}:", *parts[name]]
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines) + draw(st.sampled_from(["", "\n"]))


SHOWN = ["{{{{ {} | quote }}}}", "{{{{ {} | toJson }}}}", "{{{{ {} }}}}", "{{{{- toYaml {} | nindent 4 }}}}",
         "{{{{ {} | toString | b64enc }}}}", "'{{{{ {} }}}}'", '"{{{{ {} }}}}"', "x{{{{ {} }}}}"]  # fmt: skip


@st.composite
def charts(draw):
    """The files of a chart that shows its values in templates."""
    values = draw(st.dictionaries(st.from_regex("[a-z]{2,5}", fullmatch=True), VALUES, min_size=1, max_size=4))
    shown = [
        f"  {draw(st.sampled_from(['', 'x-']))}{key}: {draw(st.sampled_from(SHOWN)).format(f'.Values.{key}')}"
        for key in values
    ]
    plain = [f"  literal{number}: {draw(VALUES)}" for number in range(draw(st.integers(0, 2)))]
    head = ["apiVersion: v1", "kind: ConfigMap", "metadata: {name: {{ .Release.Name }}}", "data:"]
    return {
        "Chart.yaml": PLAIN["Chart.yaml"],
        "values.yaml": "".join(f"{key}: {value}\n" for key, value in values.items()),
        "templates/all.yaml": draw(st.sampled_from(["\n", "\r\n"])).join([*head, *shown, *plain]),
    }


@dataclass(frozen=True)
class Projects:
    """Projects with one application each, in folders of one repository; what is committed of their files is the path.

    Attributes:
        repository: The repository.
        counted: How many files or charts were tried, and refused.
    """

    repository: Repository
    counted: Counter = field(default_factory=Counter)

    def write(self, number, files):
        self.repository.write({f"p{number}/{path}": content for path, content in files.items()})

    def folder(self, number) -> Path:
        return self.repository.folder / f"p{number}"

    def application(self, number):
        """The application of a project, as the work tree has it."""
        content = (self.folder(number) / "gitops/live/fraud.yaml").read_bytes()
        return tree.read(PROJECT, "live", "fraud", content).checked()

    def compare(self, deploys, number, helm=None):
        """Hold what both make of the first projects against each other."""
        top = self.repository.folder
        asked = [deployed.asked(top, f"p{each}", "*" if helm else "") for each in range(number)]
        for each, theirs in enumerate(deploys(asked)):
            found = self.found(each, helm)
            self.counted.update(tried=1, refused=bool(found.refused))
            try:
                deployed.compared(found, theirs)
            except AssertionError as error:
                error.add_note(str({file: file.read_bytes() for file in self.folder(each).rglob("*.yaml")}))
                raise

    def found(self, number, helm):
        prefix = f"p{number}"
        try:
            application = self.application(number)
            source = application_set.made(application.project, prefix)
            read = {application.argo_name: deployed.said_here(application, source, prefix)}
            if helm is None:
                return Found(read, {})
            chart = self.folder(number) / deployed.CHART
            text = anyio.run(render.template, helm, application, chart, [], render.values(application))
            return Found(read, {}, {application.argo_name: documents.parse(text)})
        except CIError as error:
            return Found({}, {"gitops/live/fraud.yaml": error.message})


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("generated"))
    for number in range(max(FILES, CHARTS)):
        files = {("live", "fraud"): deployed.APPLICATION}
        repository.project(f"p{number}", TOML, files, PLAIN)
    repository.commit()
    return repository


def bounded(repository, what, most):
    """Count what is refused of all that is generated, print the share, and bound it."""
    found = Projects(repository)
    yield found
    share = found.counted["refused"] / max(1, found.counted["tried"])
    print(f"refused of {found.counted['tried']} generated {what}: {share:.0%}")
    assert share < most


@pytest.fixture(scope="module")
def of_files(made):
    yield from bounded(made, "application files", REFUSED_FILES)


@pytest.fixture(scope="module")
def of_charts(made):
    for number in range(CHARTS):
        made.write({f"p{number}/gitops/live/fraud.yaml": deployed.APPLICATION})
    yield from bounded(made, "charts", REFUSED_CHARTS)


@given(files=st.lists(applications(), min_size=FILES, max_size=FILES))
def test_application_files_of_any_content_deploy_what_is_read_of_them_or_are_refused(deploys, of_files, files):
    for number, content in enumerate(files):
        of_files.write(number, {"gitops/live/fraud.yaml": content})
    of_files.compare(deploys, len(files))


@settings(max_examples=max(1, settings.default.max_examples // 4))
@given(contents=st.lists(charts(), min_size=CHARTS, max_size=CHARTS))
def test_charts_of_any_content_deploy_what_is_rendered_of_them_or_are_refused(deploys, helm, of_charts, contents):
    for number, content in enumerate(contents):
        of_charts.write(number, {f"{deployed.CHART}/{path}": text for path, text in content.items()})
    of_charts.compare(deploys, len(contents), helm)
