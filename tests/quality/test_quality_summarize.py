"""summarize: 20 texts; a summary is no copy, is shorter, and nearly always keeps the main name."""

from pathlib import Path

import pytest

from llmsh.abi import unitfile
from tests.support.bareprogram import Runner

pytestmark = [pytest.mark.smollm2, pytest.mark.timeout(900)]

FLOOR = 17
EXAMPLES = [example.answer for example in unitfile.find("summarize").examples]
LIBRARY = Path(__file__).resolve().parent.parent.parent / "examples/library.txt"
TABLE = [
    ("Millbrook", "The town of Millbrook has a new bakery. Rosa Delgado, a cook, opened it last Saturday in the old post office. She bakes rye bread and plum cake. More than two hundred people came on the first day, and by noon nothing was left."),
    ("Nemo", "Engineers in Helsinki have built a robot called Nemo. Nemo cleans the hulls of ships: it clings to the steel with magnets and brushes off algae. A clean hull lets a ship burn less fuel. The engineers want to sell Nemo to ports next year."),
    ("Aller", "Last winter the river Aller flooded the lower part of the town. Nobody was hurt, but forty families had to leave their homes. The council has now decided to build a wall along the Aller. Work begins in May and will cost nine million euros."),
    ("Tornio", "The school in Tornio will give every pupil a garden bed. The pupils in Tornio choose what they grow and sell it at a market in September. The head teacher says that children who work outside learn better. Parents have given tools and seeds."),
    ("Harrow", "The old cinema in Harrow is open again after eleven years. Volunteers painted the walls and repaired the seats. The first film, an old comedy, was sold out in an hour. The cinema in Harrow will show films on three evenings a week."),
    ("Zenith", "The company Zenith will stop making typewriters in June. Zenith sold its first machine in 1931 and once had nine hundred workers. Today it has twelve. The last typewriters will be given to museums and schools."),
    ("Okafor", "Grace Okafor has won the city marathon for the third time. Okafor ran the last ten kilometres alone and finished two minutes before the second runner. She trains before work: Okafor drives a bus. Next year she wants to run in Boston."),
    ("Lake Varn", "Fish are coming back to Lake Varn. Twenty years ago the water of Lake Varn was so dirty that nothing lived in it. Then the paper mill closed and the town built a plant that cleans its water. Last week anglers counted nine kinds of fish."),
    ("Pelham", "The library of Pelham will lend tools as well as books. Readers in Pelham can borrow drills, ladders and sewing machines for a week. Most of the tools were gifts. The librarian says that few people need a drill more than once a year."),
    ("Comet", "The night train Comet will run again from Vienna to Venice. The Comet was stopped in 2009 because planes were cheaper. Now many travellers want to sleep on the way. Tickets for the Comet will be sold from March on."),
    ("Sara Lind", "Sara Lind repairs old radios in her garage. People send Sara Lind their radios from all over the country, and she answers every letter by hand. She learned the work from her grandfather. Her oldest radio was made in 1924 and plays well."),
    ("Beacon Hill", "The lighthouse on Beacon Hill has a new keeper. For thirty years nobody lived on Beacon Hill, and a machine lit the lamp. The new keeper, a painter, will show the tower to visitors. The first visitors came by boat on Sunday."),
    ("Orion", "The telescope Orion has found a planet that is covered by water. Orion looked at the planet for two years. Nobody knows whether anything lives there. The astronomers will point Orion at it again in the spring, when it passes its sun."),
    ("Kiran", "The painter Kiran has given all his pictures to the city. Kiran is ninety-one and has no children. The city will show the pictures in the old town hall. Kiran asked for one thing only: that nobody should pay to see them."),
    ("Maple Street", "Neighbours on Maple Street have planted sixty trees in one day. The city gave the trees, and the people of Maple Street dug the holes. In summer the street was so hot that the road became soft. The trees will give shade in five years."),
    ("Wexley", "The football club Wexley has to sell its ground. Wexley owes the bank two million and has lost every game since August. The fans have started to collect money. A builder wants to put houses on the ground of Wexley."),
    ("Aurora", "A ship called Aurora has sailed around the world with a cargo of coffee. The Aurora has no engine, only sails. The voyage took eleven months. The coffee costs a little more, but shops have sold all that the Aurora brought."),
    ("Benson", "Doctor Benson visits her patients on a horse. The roads in the valley are so bad that cars get stuck in winter. Benson rides up to forty kilometres a day. The villages have thanked Benson with a new saddle."),
    ("Tilda", "A goat called Tilda has been living on the roof of a supermarket for a week. Nobody knows how Tilda got there. The workers feed her with old salad. The fire brigade will try to bring Tilda down on Friday with a crane."),
    ("Lindholm", LIBRARY.read_text()),
]  # fmt: skip


def words(text: str) -> list[str]:
    return text.lower().split()


def test_a_summary_is_no_copy_shorter_and_keeps_the_main_name(runner: Runner) -> None:
    nameless = []
    for name, text in TABLE:
        result = runner.run("summarize", stdin=text.encode())
        assert (result.status, result.err) == (0, b"")
        summary = result.text
        assert summary.strip()
        assert words(summary) != words(text)
        assert len(words(summary)) <= 0.75 * len(words(text)), summary
        assert not any(example in summary for example in EXAMPLES), summary
        if name.lower() not in summary.lower():
            nameless.append((name, summary))
    assert len(TABLE) - len(nameless) >= FLOOR, nameless


def test_a_long_text_takes_parts_and_says_a_line_of_each(runner: Runner) -> None:
    text = "\n\n".join(text for _, text in TABLE[:6])
    lines = runner.run("summarize", stdin=text.encode()).text.splitlines()
    assert 2 <= len(lines) <= 6
    assert not any(example in line for example in EXAMPLES for line in lines), lines
    assert len(set(lines)) == len(lines)
    assert sum(map(len, lines)) < len(text) / 2
