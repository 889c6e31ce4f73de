"""The reader of documented commands."""

from pathlib import Path

import pytest

from tests.support.documented import Code, Command, Rule, code, extract


def test_reads_bash_and_sh_blocks_and_no_others() -> None:
    page = """\
# Title
```bash
./build.sh   # builds
# a remark

./stop.sh
```
```json
{"task_id": 1}
```
```
plain
```
1. In a list:
   ```sh
   cd locust
   ```
"""
    assert extract(page) == [
        Command(line=3, text="./build.sh   # builds"),
        Command(line=6, text="./stop.sh"),
        Command(line=16, text="cd locust"),
    ]


def test_console_blocks_hold_commands_and_their_output() -> None:
    page = """\
```console
$ for i in 1 2; do
>   echo $i
> done
1
2
$ pwd
```
"""
    assert extract(page) == [
        Command(line=2, text="for i in 1 2; do\n  echo $i\ndone"),
        Command(line=7, text="pwd"),
    ]


@pytest.mark.parametrize(
    "text",
    ["curl -s \\\n  localhost", "echo 'two\nlines'", "cat <<END\ntext\nEND", "for i in 1 2\ndo\n  echo $i\ndone"],
    ids=["backslash", "quotes", "here-document", "loop"],
)
def test_a_command_may_take_several_lines(text: str) -> None:
    assert extract(f"```bash\n{text}\npwd\n```\n") == [
        Command(line=2, text=text),
        Command(line=2 + len(text.splitlines()), text="pwd"),
    ]


def test_a_comment_before_a_block_changes_what_happens_to_it() -> None:
    page = """\
<!-- test: skip because it would reboot the machine -->
```bash
reboot
```

<!-- test: until "ready in \\d+ s" -->

```bash
./monitor_queue.sh
```
<!-- test: background "Listening" -->
```bash
./serve
```
```bash
pwd
```
"""
    assert extract(page) == [
        Command(line=3, text="reboot", rule=Rule.SKIP),
        Command(line=9, text="./monitor_queue.sh", rule=Rule.UNTIL, pattern=r"ready in \d+ s"),
        Command(line=13, text="./serve", rule=Rule.BACKGROUND, pattern="Listening"),
        Command(line=16, text="pwd"),
    ]


@pytest.mark.parametrize(
    "page",
    [
        "<!-- test: skip -->\n```bash\nreboot\n```\n",
        "<!-- test: untill 'x' -->\n```bash\nls\n```\n",
        '<!-- test: until "x" -->\n```bash\nls\npwd\n```\n',
        '<!-- test: until "x" -->\nSome text.\n```bash\nls\n```\n',
    ],
    ids=["skip without a reason", "misspelt", "two commands", "no block"],
)
def test_what_breaks_the_convention_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match=r"^line \d+: "):
        extract(page)


def test_code_is_put_where_the_page_says(tmp_path: Path) -> None:
    page = """\
<!-- file: list.py, before "]" -->
```python
    2,
```
And
<!-- file: list.py, after "NUMBERS = [" -->
```python
    0,
```
<!-- file: new.py -->
```python
print()

print()
```
"""
    (tmp_path / "list.py").write_text("NUMBERS = [\n    1,\n]\n")
    for block in code(page):
        block.put_into(tmp_path)
    assert (tmp_path / "list.py").read_text() == "NUMBERS = [\n    0,\n    1,\n    2,\n]\n"
    assert (tmp_path / "new.py").read_text() == "print()\n\nprint()\n"


@pytest.mark.parametrize("block", [Code(path="a", lines=[]), Code(path="a", lines=[], where="after", anchor="x")])
def test_code_that_does_not_fit_is_an_error(tmp_path: Path, block: Code) -> None:
    (tmp_path / "a").write_text("x\nx\n")
    with pytest.raises(ValueError, match=r"^a (is|has)"):
        block.put_into(tmp_path)


@pytest.mark.parametrize("page", ["<!-- file: a -->", "<!-- file: -->\n```\n```", "<!-- file: a -->\n\n```\n```"])
def test_a_file_without_its_block_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match="line 1"):
        code(page)
