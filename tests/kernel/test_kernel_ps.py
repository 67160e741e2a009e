"""sys_ps answers in pages: a frame is bounded, processes are not."""

from llmsh.abi.limits import FRAME_MAX, INIT, PS_PAGE
from llmsh.abi.wire import encode
from tests.support.machine import Machine


def test_pages_hold_every_process_once_and_fit_a_frame() -> None:
    machine = Machine()
    client = machine.client()
    pids = [client.run("ask", "\U0001f600" * 5000) for _ in range(2 * PS_PAGE + 7)]
    seen: list[int] = []
    more, after = True, 0
    while more:
        answer = client.call("ps", after=after)
        assert len(encode({"id": 1, "ok": answer})) < FRAME_MAX
        seen += [row["pid"] for row in answer["rows"]]
        more, after = answer["more"], seen[-1]
    assert seen == [INIT, *pids]


def test_chosen_pids_come_in_order_and_unknown_ones_do_not() -> None:
    machine = Machine()
    client = machine.client()
    first, second = client.run(), client.run()
    answer = client.call("ps", pids=[second, 42, first, second])
    assert [row["pid"] for row in answer["rows"]] == [first, second]
    assert answer["more"] is False
