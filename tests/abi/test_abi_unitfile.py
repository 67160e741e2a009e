"""Units read from files: what is found, merged, refused, and where the message points."""

import os
from pathlib import Path

import pytest

from llmsh.abi import paths, unitfile, unitsource
from llmsh.abi.errors import Error
from llmsh.abi.unit import Unit
from llmsh.abi.unitcheck import Broken
from llmsh.abi.unitlines import lines

GOOD = """\
kind = "prompt"
description = "says it again"
system = \"\"\"
You repeat.
kind = "not a key"
\"\"\"
prompt = "Again, {times} times: {input}"

[options.times]
help = "how often"
short = "n"
type = "int"
default = 2

[options.tone]
help = "how"
choices = ["loud", "soft"]
default = "soft"
values = { loud = "very loud" }

[[examples]]
input = "a"
answer = "a a"

[[examples]]
input = "b"
answer = "b b b"
when = { times = 3 }

[sampling]
temperature = 0.5

[limits]
answer = 100
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of units, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    made = tmp_path / "llmsh" / "agents.d"
    made.mkdir(parents=True)
    return made


def put(folder: Path, text: str, name: str = "again.toml") -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o644)
    return path


def refusal(folder: Path, text: str) -> str:
    """What is said of this unit, without its folder."""
    put(folder, text)
    with pytest.raises(Error) as caught:
        unitfile.find("again")
    assert caught.value.code == "ENOEXEC"
    assert "\n" not in caught.value.detail
    return caught.value.detail.removeprefix(str(folder) + "/")


def test_a_good_unit(folder: Path) -> None:
    path = put(folder, GOOD)
    unit = unitfile.find("again")
    assert (unit.name, unit.kind, unit.path) == ("again", "prompt", str(path))
    assert unit.options["times"].default == 2
    assert unit.examples[1].when == {"times": 3}
    assert unit.sampling == {"temperature": 0.5}
    assert unit.limits.answer == 100
    assert unit.system.startswith("You repeat.")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('kind = "prompt"', 'kind = "promt"', "again.toml:1: kind: expected one of prompt, filter"),
        ('kind = "prompt"', "kind = 3", "again.toml:1: kind: expected a string, found an integer"),
        ('kind = "prompt"\n', "", "again.toml:1: kind: missing"),
        ("answer = 100", 'answer = "many"', "again.toml:34: limits.answer: expected an integer, found a string"),
        ("answer = 100", "answer = -1", "again.toml:34: limits.answer: expected 0 (none) or more"),
        ("answer = 100", "anser = 100", "again.toml:34: limits.anser: no such key: expected one of tokens, answer"),
        ("temperature = 0.5", "heat = 1", "again.toml:31: sampling.heat: no such key"),
        ("temperature = 0.5", 'temperature = "hot"', "again.toml:31: sampling.temperature: expected a number"),
        ('answer = "b b b"', "answer = 3", "again.toml:27: examples[2].answer: expected a string"),
        ("{ times = 3 }", "{ time = 3 }", "again.toml:28: examples[2].when: expected names of options, found 'time'"),
        ('type = "int"', 'type = "integer"', "again.toml:12: options.times.type: expected one of str, int"),
        ("default = 2", 'default = "2"', "again.toml:13: options.times.default: expected an integer, found '2'"),
        ('default = "soft"', 'default = "mild"', "again.toml:18: options.tone.default: expected one of loud, soft"),
        ('short = "n"', 'short = "nn"', "again.toml:11: options.times.short: expected one letter"),
        ('help = "how"', 'help = "how"\nshort = "n"', "again.toml:17: options.tone.short: -n is taken by times"),
        ("[options.tone]", "[options.input]", "again.toml:15: options.input: expected a name of small letters"),
        ("{times} times: {input}", "{time} times: {input}", "again.toml:7: prompt: {time}: expected {times}, {tone}"),
        ("{times} times: {input}", "{times} times", "again.toml:7: prompt: expected {input} in it"),
        ("[sampling]", 'labels = ["x", "y"]\n[sampling]', "again.toml:30: examples[2].labels: no such key"),
        (
            'kind = "prompt"',
            'kind = "prompt"\nlabels = ["x", "y"]',
            "again.toml:2: labels: means nothing for kind prompt",
        ),
        ('kind = "prompt"', 'kind = "prompt"\nlong = "shift"', "again.toml:2: long: expected one of refuse, parts"),
        ('kind = "prompt"', 'kind = "prompt"\nmerge = "all"', "again.toml:2: merge: expected {input} in it"),
        ('kind = "prompt"', 'kind = "prompt"\nnice = 20', "again.toml:2: nice: expected -20 to 19, found 20"),
        ('kind = "prompt"', 'kind = "prompt"\npart = -1', "again.toml:2: part: expected 0 or more"),
        ('kind = "prompt"', 'kind = "prompt"\nname = "x"', "again.toml:2: name: no such key"),
        ('kind = "prompt"', 'kind = "prompt"\nknid = "x"', "again.toml:2: knid: no such key: expected one of kind"),
        ('kind = "prompt"', 'kind = "prompt', "again.toml:1: "),
        ('kind = "prompt"', 'kind = "classify"', "again.toml:1: labels: expected two or more"),
        ('kind = "prompt"', 'kind = "extract"', "again.toml:1: schema: missing"),
        ('kind = "prompt"', 'kind = "extract"\nschema = "{"', "again.toml:2: schema: expected JSON"),
        ('kind = "prompt"', 'kind = "extract"\nschema = "[]"', "again.toml:2: schema: expected a JSON object"),
        ("says it again", "two\\nlines", "again.toml:2: description: expected one line"),
    ],
)
def test_a_broken_unit_names_file_line_key_and_what_was_expected(folder: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    assert refusal(folder, GOOD.replace(old, new, 1)).startswith(said)


def test_text_that_is_no_toml_or_no_text(folder: Path) -> None:
    assert refusal(folder, "kind = \n").startswith("again.toml:1: ")
    assert refusal(folder, 'kind = "x"\nsystem = """never ends\n\n').startswith("again.toml:")
    path = put(folder, "")
    path.write_bytes(b"# fine\nkind = '\xff'\n")
    with pytest.raises(Error, match=r"again\.toml:2: not UTF-8: expected text, found 0xff"):
        unitfile.find("again")
    path.write_bytes(b"#" * (unitsource.UNIT_MAX + 1))
    with pytest.raises(Error, match="more than 1048576 bytes"):
        unitfile.find("again")
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(Error) as caught:
        unitfile.find("again")
    assert caught.value.code == "ENOEXEC"


def test_every_fault_is_a_line_of_its_own_in_the_order_of_the_file(folder: Path) -> None:
    put(folder, (
        'kind = "nokind"\nnice = 99\npart = "x"\nknid = 1\nlabels = [1]\nsystem = "{nobody}"\n'
        "[options.times]\ntype = 3\nshort = 5\n[options.tone]\n"
        'help = "how"\nchoices = ["a"]\ndefault = "b"\n'
        "[sampling]\ntemperature = -1\ntop_k = 1.5\nheat = 1\n[limits]\nanswer = -1\nseconds = true\n"
        '[[examples]]\ninput = "a"\n[[examples]]\nanswer = "b"\nwhen = { who = 1 }\n'
    ))  # fmt: skip
    with pytest.raises(Broken) as caught:
        unitfile.find("again")
    assert [fault.removeprefix(f"{folder}/again.toml:") for fault in caught.value.faults] == [
        "1: description: missing: expected one line of text",
        "1: kind: expected one of prompt, filter, classify, extract, chat, found 'nokind'",
        "2: nice: expected -20 to 19, found 99",
        "3: part: expected an integer, found a string",
        (
            "4: knid: no such key: expected one of kind, description, model, nice, deadline, value, system, prompt, "
            "examples, options, raw, labels, neutral, schema, verbatim, long, part, merge, share, strip, sampling, "
            "limits"
        ),
        "5: labels[1]: expected a string, found an integer",
        "6: system: {nobody}: expected {times}, {tone}, {input}, or {{nobody}} for the text itself",
        "7: options.times.help: missing: expected a string",
        "8: options.times.type: expected a string, found an integer",
        "9: options.times.short: expected a string, found an integer",
        "13: options.tone.default: expected one of a, found 'b'",
        "15: sampling.temperature: expected 0.0 to 100.0, found -1",
        "16: sampling.top_k: expected an integer, found a number",
        (
            "17: sampling.heat: no such key: expected one of temperature, top_k, top_p, min_p, repeat_penalty, "
            "frequency_penalty, presence_penalty, penalty_last, seed, stop, ignore_eos"
        ),
        "19: limits.answer: expected 0 (none) or more, found -1",
        "20: limits.seconds: expected a number, found true or false",
        "21: examples[1].answer: missing: expected a string",
        "23: examples[2].input: missing: expected a string",
        "25: examples[2].when: expected names of options, found 'who'",
    ]
    assert caught.value.detail == "; ".join(caught.value.faults)


@pytest.mark.parametrize("key", ["options", "limits", "sampling", "examples"])
def test_what_should_be_a_table_hides_no_other_fault(folder: Path, key: str) -> None:
    said = refusal(folder, f'{key} = "x"\nnice = 99\n')
    assert f"again.toml:1: {key}: expected " in said
    assert "again.toml:2: nice: expected -20 to 19" in said
    assert "again.toml:1: kind: missing: expected one of prompt" in said


@pytest.mark.parametrize(("text", "said"), [
    ("kind = \n", '1: kind: invalid value: expected a "string", a number, true, false, [a list] or {a table}'),
    ("\nkind = prompt\n", '2: kind: invalid value: expected a "string", '),
    ('kind = "prompt\n', '1: kind: illegal character \'\\n\': expected the closing quote, or """ around several'),
    ("[kind\n", "1: expected ']' at the end of a table declaration"),
    ("kind prompt\n", "1: expected '=' after a key in a key/value pair"),
    ("= 1\n", "1: invalid statement: expected KEY = VALUE or [TABLE]"),
    ("a = 1\na = 2\n", "2: a: cannot overwrite a value: expected each key and table once"),
    ("a = 1\n[a]\n", "2: cannot overwrite a value: expected each key and table once"),
    ('a = "\\q"\n', "1: a: unescaped '\\' in a string: expected an escape of TOML"),
    ("a = [1\n", "1: a: unclosed array (at end of document): expected the closing bracket"),
])  # fmt: skip
def test_what_toml_wants_there_is_said(folder: Path, text: str, said: str) -> None:
    assert refusal(folder, text).startswith(f"again.toml:{said}")


def test_shipped_units_are_trusted_as_the_code_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "code" / "agents.d"
    code.mkdir(parents=True)
    monkeypatch.setattr(paths, "shipped", lambda: str(code))
    put(code, GOOD, "theirs.toml").chmod(0o664)
    assert unitfile.find("theirs").kind == "prompt"
    beside = tmp_path / "code" / "agents.d.mine"
    beside.mkdir()
    put(beside, GOOD, "x.toml").chmod(0o664)
    with pytest.raises(Error, match="group or others may write it"):
        unitfile.load(str(beside / "x.toml"), "x")
    put(folder, GOOD, "theirs.toml").chmod(0o664)
    with pytest.raises(Error, match="group or others may write it"):
        unitfile.find("theirs")


@pytest.mark.parametrize("kind", ["prompt", "filter", "chat", "extract"])
def test_every_kind_that_writes_may_have_a_schema(folder: Path, kind: str) -> None:
    put(folder, f'kind = "{kind}"\ndescription = "d"\nschema = "{{}}"\n')
    assert unitfile.find("again").schema == "{}"
    said = refusal(folder, 'kind = "classify"\ndescription = "d"\nlabels = ["a", "b"]\nschema = "{}"\n')
    assert said == "again.toml:4: schema: means nothing for kind classify: expected kind prompt, filter, extract, chat"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    put(folder, GOOD).chmod(mode)
    with pytest.raises(Error, match=f"mode 0{mode:o}: group or others may write it") as caught:
        unitfile.find("again")
    assert (caught.value.code, caught.value.status) == ("EACCES", 126)


def test_a_dropin_that_others_may_write_is_refused(folder: Path) -> None:
    put(folder, GOOD)
    put(folder, "nice = 3", "again.toml.d/1.toml").chmod(0o666)
    with pytest.raises(Error, match=r"1\.toml: mode 0666"):
        unitfile.find("again")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_someone_else_is_refused(folder: Path) -> None:
    os.chown(put(folder, GOOD), 12345, 0)
    with pytest.raises(Error, match="belongs to user 12345"):
        unitfile.find("again")


def test_what_is_no_regular_file_is_refused_and_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "again.toml", 0o600)
    with pytest.raises(Error, match="not a regular file"):
        unitfile.find("again")
    (folder / "gone.toml").symlink_to(folder / "nowhere")
    with pytest.raises(Error, match="no such file"):
        unitfile.find("gone")


def test_dropins_are_merged_in_the_order_of_their_names(folder: Path) -> None:
    put(folder, GOOD)
    put(folder, 'nice = 5\n[limits]\nanswer = 7\n[[examples]]\ninput = "c"\nanswer = "c c"\n', "again.toml.d/10-a.toml")
    put(folder, "nice = 6\n[limits]\nseconds = 2\n", "again.toml.d/20-b.toml")
    put(folder, "nice = 9\n", "again.toml.d/30-c.conf")
    unit = unitfile.find("again")
    assert (unit.nice, unit.limits.answer, unit.limits.seconds) == (6, 7, 2)
    assert [example.input for example in unit.examples] == ["a", "b", "c"]
    put(folder, "examples = []\n", "again.toml.d/40-d.toml")
    assert unitfile.find("again").examples == ()


def test_an_error_points_into_the_dropin_that_made_it(folder: Path) -> None:
    put(folder, GOOD)
    put(folder, '\n\n[limits]\nanswer = "x"\n', "again.toml.d/10-a.toml")
    with pytest.raises(Error, match=r"10-a\.toml:4: limits\.answer: expected an integer"):
        unitfile.find("again")
    put(folder, '[[examples]]\ninput = "c"\nanswer = 4\n', "again.toml.d/10-a.toml")
    with pytest.raises(Error, match=r"10-a\.toml:3: examples\[3\]\.answer: expected a string"):
        unitfile.find("again")


def test_the_users_unit_hides_the_shipped_one(folder: Path) -> None:
    shipped = dict(unitfile.names())
    assert "ask" in shipped
    put(folder, GOOD, "ask.toml")
    put(folder, GOOD, ".hidden.toml")
    put(folder, GOOD, "a b.toml")
    found = dict(unitfile.names())
    assert found["ask"] == str(folder / "ask.toml")
    assert found.keys() == shipped.keys()
    assert unitfile.find("ask").description == "says it again"


def test_a_dropin_of_the_users_changes_a_shipped_unit(folder: Path) -> None:
    put(folder, "nice = 4\n", "ask.toml.d/mine.toml")
    assert unitfile.find("ask").nice == 4


@pytest.mark.parametrize("name", ["", ".x", "-x", "a/b", "../x", "a b", "a\nb", "x" * 65, "nosuch", "é"])
def test_names_that_find_nothing(folder: Path, name: str) -> None:
    with pytest.raises(Error) as caught:
        unitfile.find(name)
    assert (caught.value.code, caught.value.status) == ("ENOENT", 127)


def made(folder: Path) -> Unit:
    put(folder, GOOD)
    return unitfile.find("again")


def test_options_get_defaults_and_types(folder: Path) -> None:
    unit = made(folder)
    assert unitfile.validate_options(unit, {}) == {"times": 2, "tone": "soft"}
    assert unitfile.validate_options(unit, {"times": "7", "tone": "loud"}) == {"times": 7, "tone": "loud"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"time": 1}, "again: no option --time"),
        ({"times": "x"}, "again: --times: expected an integer, found 'x'"),
        ({"times": True}, "again: --times: expected an integer, found True"),
        ({"times": 1.5}, "again: --times: expected an integer, found 1.5"),
        ({"tone": "mild"}, "again: --tone: expected one of loud, soft, found 'mild'"),
    ],
)
def test_options_refused(folder: Path, given: dict[str, str | int], said: str) -> None:
    with pytest.raises(Error) as caught:
        unitfile.validate_options(made(folder), given)
    assert (caught.value.code, caught.value.detail, caught.value.status) == ("EINVAL", said, 2)


def test_lines_of_keys() -> None:
    text = (
        "a = 1\n"
        "'b.c' = '''\n"
        "d = 2\n"
        "'''\n"
        "e = [ # x = 1\n"
        '  "f = 3", [4],\n'
        "]\n"
        "[g.h]\n"
        "i.j = { k = 5 }\n"
        "[[l]]\n"
        "m = 6\n"
        "[[l]]\n"
        "m = 7\n"
        "[l.n]\n"
        "o = 8\n"
        "[[l.p]]\n"
        'q = """x"""""\n'
        "[r]\n"
    )
    assert lines(text) == {
        ("a",): 1,
        ("b.c",): 2,
        ("e",): 5,
        ("g", "h"): 8,
        ("g", "h", "i", "j"): 9,
        ("l", 0): 10,
        ("l", 0, "m"): 11,
        ("l", 1): 12,
        ("l", 1, "m"): 13,
        ("l", 1, "n"): 14,
        ("l", 1, "n", "o"): 15,
        ("l", 1, "p", 0): 16,
        ("l", 1, "p", 0, "q"): 17,
        ("r",): 18,
    }
