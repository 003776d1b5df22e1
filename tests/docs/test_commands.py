"""Every command that README and docs tell a reader to type exists, with its flags, targets, files and arguments."""

from __future__ import annotations

import re

import doc_blocks
import pytest

from tests.docs import command_checks

RECORDS = re.compile(r"CHANGELOG\.md|docs/lab_log\.md|docs/adr/.*|checkpoints/.*")
"""Dated records name the commands of their day."""
LANGUAGES = {"sh", "text", "python", "yaml", "json", "toml"}
PAGES = {
    str(path.relative_to(doc_blocks.ROOT)): doc_blocks.read(path)
    for path in doc_blocks.pages()
    if not RECORDS.fullmatch(str(path.relative_to(doc_blocks.ROOT)))
}
MINE = re.compile(r"^(?:\.venv/bin/)?magma-ros (?P<rest>[a-z].*)$")


@pytest.mark.parametrize("name", PAGES)
def test_every_command_of_a_block_is_accepted(name):
    """Command line, Makefile, launch files and interface table know each command in a block of commands."""
    found = [
        f"{block.place}: {' '.join(words)}: {fault}"
        for block in PAGES[name].blocks
        if block.language == "sh"
        for words in doc_blocks.commands(block.text)
        for fault in command_checks.faults(words)
    ]
    assert [] == found


@pytest.mark.parametrize("name", PAGES)
def test_every_command_within_a_sentence_exists(name):
    """Within a sentence a command may leave things out, but its subcommand, its flags and its target are real."""
    found = []
    for line, code in PAGES[name].inline_code():
        words = code.split()
        if words[:1] == ["make"] and len(words) > 1:
            found += [f"{name}:{line}: {fault}" for fault in command_checks._of_make(words[1:2])]
        elif (command := MINE.match(code)) is not None:
            rest = command["rest"].split()
            known = command_checks.subcommand(rest)
            flags = {word.strip("[]").partition("=")[0] for word in rest if re.match(r"\[?--\w", word)} - {"--help"}
            unknown = flags - command_checks.flags_of(known) if known else {rest[0]}
            found += [f"{name}:{line}: {code}: {word}" for word in sorted(unknown)]
    assert [] == found


@pytest.mark.parametrize("name", PAGES)
def test_every_block_says_what_it_is(name):
    """A block names its language, commands stand only in those of `sh`, and their title says what they need."""
    blocks = PAGES[name].blocks
    assert [] == [block.place for block in blocks if block.language not in LANGUAGES]
    command = re.compile(r"^(?:\$ )?(?:\.venv/bin/)?(?:magma-ros|ros2|make|pip) \w", re.MULTILINE)
    assert [] == [
        block.place
        for block in blocks
        if block.language == "text" and command.search(block.text) and "$ " not in block.text
    ]
    assert [] == [
        number
        for number, line in enumerate(PAGES[name].prose, 1)
        if re.match(r" {4}", line) and command.match(line.strip())
    ]
    titles = [block for block in blocks if block.language == "sh" and block.title]
    assert [] == [block.place for block in titles if not block.title.startswith((doc_blocks.NEEDS, doc_blocks.ENDS))]


@pytest.mark.parametrize("name", PAGES)
def test_python_blocks_import_what_exists(name):
    """What a block of Python takes from this project is there."""
    for block in PAGES[name].blocks:
        if block.language == "python":
            imports = re.findall(r"^(?:from|import) magma_ros.*$", block.text, re.MULTILINE)
            exec(compile("\n".join(imports), block.place, "exec"), {})  # noqa: S102 - the docs' own imports


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("magma-ros evaluate --trials 3", "status 2"),
        ("magma-ros eval --trial-count 3", "status 2"),
        ("magma-ros eval --trials three", "status 2"),
        ("make demos", "target"),
        ("ros2 launch magma_ros bring.launch.py arm:=sim", "launch file"),
        ("ros2 launch magma_ros bringup.launch.py arms:=sim", "'arms:=sim'"),
        ("ros2 launch magma_ros bringup.launch.py arm:=wx250s embodiment:=bridge_widowx", "'wx250s/base_link'"),
        ("ros2 launch magma_ros bringup.launch.py arm:=fr3 checkpoint:=magma-tiny", "'fr3_link0'"),
        ("ros2 run magma_ros motion_node --ros-args -p speeds:=1", "'speeds'"),
        ("ros2 service call /ground magma_ros/srv/Ground '{word: carrot}'", "'word'"),
        ("ros2 service call /instruction std_srvs/srv/Trigger", "interface table"),
        ("python benchmarks/wire.py --fast", "'--fast'"),
        ("pip install 'magma_ros[gpu]'", "'gpu'"),
        ("frobnicate --now", "known program"),
    ],
)
def test_a_wrong_command_is_found(command, part):
    """Each kind of mistake in a command is named."""
    (words,) = doc_blocks.commands(command)
    (fault,) = command_checks.faults(words)
    assert part in fault
