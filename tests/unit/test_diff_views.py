"""The views of a difference: in parts that GitHub takes, and nothing from outside gets out of its place in them."""

import re
import unicodedata
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from ci.base import jsonfile
from ci.base.errors import UsageError
from ci.commands import diff as command
from ci.diff import html, markdown
from ci.diff.model import ApplicationChange, Difference, Effect, Field, FileChange, ObjectChange
from tests.harness.diff import config, made_by, of_objects, rollout, service
from tests.harness.hostile import PIECES

GITHUB_LIMIT = 65_536
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")

INLINE = {"text", "code_inline", "softbreak", "strong_open", "strong_close"}

EVIL = [
    "`octocat`",
    "``` octocat",
    "</details>octocat",
    "</code></summary><script>octocat</script>",
    "<img src=x onerror=octocat>",
    "@octocat",
    "octocat#1 https://octocat.example.com www.octocat.example.com",
    "| octocat | octocat |",
    "![octocat](https://octocat.example.com/x.png) [octocat](javascript:octocat)",
    "x\n\n# octocat\n\n- octocat",
    "x\r\n```\n\n</details>\n\n@octocat\n",
    "--> octocat <!-- octocat",
    "*octocat* _octocat_ ~~octocat~~ \\octocat &lt;octocat&gt;",
    "\u202eoctocat\u2066\u200b",
    "x\x1b[31moctocat\x00\u2028octocat\u0085",
    "`" * 50 + "octocat",
    " octocat ",
    "{{ octocat }} {% octocat %}",
]


def evil_objects(text):
    """A place where every text that may come from outside is this one."""
    labels, annotations = {text: text}, {text: text}
    env = [{"name": text, "value": text}]
    return [
        service(text, labels=labels, annotations=annotations, model={"image": text, "env": env}),
        rollout(text),
        config(text, apiVersion=f"{text}/v1", metadata={"name": text, "namespace": text}, data={text: text}),
        {"apiVersion": "v1", "kind": text, "metadata": {"name": text}, "spec": {"selector": {text: text}}},
    ]


def differences(text):
    plain = evil_objects(text)
    changed = evil_objects(text)
    changed[0]["metadata"]["labels"] = {text: f"{text}2"}
    changed[0]["spec"]["predictor"]["model"]["image"] = f"{text}2"
    changed[2]["data"][text] = f"{text}2"
    changed[3]["spec"]["selector"] = {text: f"{text}2"}
    place = f"dev/{text if text.isprintable() else 'iris'}"
    return [of_objects(before, after, place) for before, after in ((plain, changed), ([], plain), (plain, []))]


def tokens(part):
    found = PARSER.parse(part)
    return found, [child for token in found for child in token.children or ()]


@pytest.mark.parametrize("text", EVIL)
def test_nothing_from_outside_is_markdown_or_html(text):
    for difference in differences(text):
        for part in markdown.render(difference):
            assert "octocat" in part
            blocks, inline = tokens(part)
            assert {token.type for token in inline} <= INLINE
            assert not [token for token in inline if token.type == "text" and "octocat" in token.content]
            headings = [blocks[index + 1].content for index, token in enumerate(blocks) if token.type == "heading_open"]
            assert not [heading for heading in headings if "octocat" in heading]
            for block in (token.content for token in blocks if token.type == "html_block"):
                assert set(re.findall(r"<[^>]*>", block)) <= {
                    "<details>",
                    "</details>",
                    "<summary>",
                    "</summary>",
                    "<code>",
                    "</code>",
                }
                assert "octocat" not in re.sub(r"<code>[^<]*</code>", "", block)
            assert closed(part)


@pytest.mark.parametrize("text", EVIL)
def test_every_character_of_every_view_can_be_seen(text, tmp_path):
    for difference in differences(text):
        jsonfile.write(tmp_path / "diff.json", difference)
        for view in [*markdown.render(difference), html.render(difference), (tmp_path / "diff.json").read_text()]:
            unseen = {char for char in view if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")}
            assert unseen <= {"\n", "\t"}


@pytest.mark.parametrize("text", PIECES)
def test_no_text_that_comes_to_a_view_breaks_it(text):
    difference = Difference(
        base="a" * 40,
        head="b" * 40,
        environments=("dev",),
        objects=(ObjectChange(text, text, text, text, text, "changed", "rest", (text,), (f"+{text}",), text),),
        files=(FileChange(text, "changed", text, (f"+{text}",)), FileChange(text, "renamed", text)),
        effects=(Effect(text, text, "first", (Field(text, text, text, "why"),)),),
        applications=(ApplicationChange(text, "added"),),
        noise=0,
    )
    for view in [*markdown.render(difference), html.render(difference)]:
        view.encode()
        assert not {char for char in view if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp", "Cs")} - {
            "\n",
            "\t",
        }
    for part in markdown.render(difference):
        assert closed(part)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.open = []

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, tuple(sorted(attributes))))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(page):
    parser = Tags()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser.seen


@pytest.mark.parametrize("text", EVIL)
def test_nothing_from_outside_is_html_of_the_page(text):
    harmless = {tag for difference in differences("harmless") for tag in parsed(html.render(difference))}
    for difference in differences(text):
        assert set(parsed(html.render(difference))) <= harmless


def closed(part):
    """Tell whether each <details> of a part is closed, and holds one fence that is closed as well."""
    blocks, _ = tokens(part)
    depth = 0
    fences = []
    for token in blocks:
        if token.type == "html_block":
            depth += token.content.count("<details>") - token.content.count("</details>")
            assert depth in (0, 1)
        elif token.type == "fence":
            fences.append((depth, token.map, token.markup))
    lines = part.split("\n")
    return depth == 0 and all(inside == 1 and lines[place[1] - 1].strip() == markup for inside, place, markup in fences)


def sizes(parts):
    return [max(len(part), len(part.encode()), len(part.encode("utf-16-le")) // 2) for part in parts]


@pytest.mark.parametrize(
    "data",
    [
        {f"line-{number}": "x" * 200 for number in range(2_000)},
        {"x": "\n".join(f"line {number} of many" for number in range(20_000))},
        {"x": "y" * 300_000},
        {"x": "`" * 300_000, "y": "```\n</details>\n" * 5_000},
        {"x": "😀" * 100_000, "y": "\n".join("😀" * 900 for _ in range(200))},
        {"x": "&<>\"'" * 60_000},
        {"k" * 300_000: "x"},
    ],
    ids=["keys", "lines", "one line", "backticks", "emoji", "escapes", "one key"],
)
def test_no_part_is_larger_than_github_takes_nor_left_open(data):
    difference = of_objects([config(data={"old": "1"})], [config(data=data), config("n" * 100_000, data=data)])
    parts = markdown.render(difference)
    assert max(sizes(parts)) <= GITHUB_LIMIT
    assert all(map(closed, parts))
    assert all(f"({number} of {len(parts)})" in part for number, part in enumerate(parts, 1)) or len(parts) == 1


def test_the_parts_together_have_every_line():
    data = {f"line-{number:04}": str(number) for number in range(9_000)}
    parts = markdown.render(of_objects([], [config(data=data)]))
    assert len(parts) > 2
    found = [line for part in parts for line in part.split("\n") if line.startswith("+  line-")]
    assert found == [f"+  line-{number:04}: '{number}'" for number in range(9_000)]
    assert sum("(continued)" in part for part in parts) == len(parts)


def test_of_the_files_beside_it_only_parts_of_an_earlier_difference_are_replaced_or_deleted(tmp_path):
    several = of_objects([], [config(data={f"line-{number:04}": str(number) for number in range(9_000)})])
    one = of_objects([], [config()])
    parts = markdown.render(several)
    file = tmp_path / "notes.md"
    written = {"notes.md", *(f"notes.{number}.md" for number in range(2, len(parts) + 1))}

    for _ in range(2):
        command._write(file, several, parts)
        assert {each.name for each in tmp_path.iterdir()} == written
    command._write(file, one, markdown.render(one))
    assert {each.name for each in tmp_path.iterdir()} == {"notes.md"}

    before = file.read_text()
    (tmp_path / "notes.2.md").write_text("a person's own\n")
    command._write(file, one, markdown.render(one))
    with pytest.raises(UsageError, match=r"notes\.2\.md would be its part"):
        command._write(file, several, parts)
    assert (tmp_path / "notes.2.md").read_text() == "a person's own\n"
    assert file.read_text() == before


def test_hundreds_of_models_are_split_between_their_lines():
    before = [each for number in range(400) for each in (service(f"iris-{number}"), rollout(f"iris-{number}"))]
    after = [
        each
        for number in range(400)
        for each in (service(f"iris-{number}", model={"image": f"server:{'2' * 200}"}), rollout(f"iris-{number}"))
    ]
    parts = markdown.render(of_objects(before, after))
    assert max(sizes(parts)) <= GITHUB_LIMIT
    assert sum(part.count("**starts a canary**") for part in parts) == 400
    assert all(map(closed, parts))


def test_the_summary_counts_by_risk_and_every_object_is_folded():
    difference = of_objects([config("gone"), service(), rollout()], [service(model={"image": "server:2"}), rollout()])
    (part,) = markdown.render(difference)
    assert "| Canary triggers | 1 |\n| Deleted | 1 |" in part
    assert part.count("<details>") == 2
    assert "`iris` in `dev/iris` **starts a canary**" in part
    assert "`spec.predictor.model.image`: nothing → `server:2` (the model server's image)" in part


def test_an_innocent_label_is_told_to_be_one():
    difference = of_objects([service(), rollout()], [service(labels={"team": "ranking"}), rollout()])
    (part,) = markdown.render(difference)
    assert "**starts a canary**, by labels or annotations alone" in part
    assert "`metadata.labels.team`: nothing → `ranking`" in part
    assert "by labels or annotations alone" in html.render(difference)


def test_a_chart_that_restarts_every_model_is_told_to_do_so():
    before, after = (
        [service(), rollout(), made_by("1")],
        [service(model={"image": "server:2"}), rollout(), made_by("2")],
    )
    difference = of_objects(before, after)
    (part,) = markdown.render(difference)
    assert "**starts a canary**; the new version of the chart does that to every model" in part
    assert "the new version of the chart does that to every model" in html.render(difference)


def test_the_json_file_is_read_back_as_the_very_same_difference(tmp_path):
    difference = of_objects([config(), service(), rollout()], [service(model={"image": "server:2"}), rollout()])
    jsonfile.write(tmp_path / "diff.json", difference)
    assert jsonfile.read(tmp_path / "diff.json", Difference) == difference


def test_a_page_needs_nothing_else_and_may_do_nothing():
    page = html.render(of_objects([config()], [config(data={"mode": "slow"})]))
    assert "default-src 'none'" in page
    assert not re.search(r"<script|src=|href=", page)
    assert '<span class="del">-  mode: fast</span>' in page
    assert '<span class="add">+  mode: slow</span>' in page


def test_a_fence_around_an_unchanged_line_of_backticks_is_longer_than_that():
    before, after = (config(aa="one\n```\n</details>\n@octocat\n", ab=value) for value in ("1", "2"))
    (part,) = markdown.render(of_objects([before], [after]))
    assert "````diff" in part
    assert closed(part)
