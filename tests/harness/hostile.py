"""Texts as they may come from outside: names of files, answers of programs, words of people."""

from hypothesis import strategies as st

CALL = "\x1b]8;;https://evil.example\x1b\\"
PIECES = [
    "\x1b[31mred\x1b[0m",
    CALL,
    "\x00\x07\x08\x0b\x7f\x85",
    "\r",
    "\r\n",
    "caf\udce9.yaml",
    "\ud800",
    "\ufffe\uffff\U0001ffff\ufdd0",
    "\u202e\u2066\u200b\u2028\ufeff",
    "]]>",
    "</details></code></summary><script>x</script>",
    "<!-- ",
    "&amp;&#x0;",
    "```",
    "| --- |",
    "**b** _i_ ~~s~~ [l](javascript:x) ![i](x) @team #1",
    "[/red] [bold]x[/bold] [/]",
    ":warning:",
    "{{ 7*7 }} {% x %}",
    "::error::x",
    "##[error]x",
    "\n::set-output name=a::b",
    "w" * 5000,
    "é漢字😀",
    " ",
    "\t",
    "\\",
]
TEXTS = st.lists(
    st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=()), max_size=20), min_size=1, max_size=4
).map("".join)
