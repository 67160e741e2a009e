"""pwd: the working folder, with or without links."""

import subprocess
from pathlib import Path

from tests.support.client import NO_SPACE, WORDS, environment, into_full, llmsh, refused


def test_it_takes_the_way_you_came(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    there = str(tmp_path / "link")

    def pwd(*argv: str, **env: str) -> str:
        done = subprocess.run(
            [*WORDS, "pwd", *argv], cwd=there, capture_output=True, check=True, env=environment(**env)
        )
        return done.stdout.decode()

    assert pwd(PWD=there) == f"{there}\n"
    assert pwd("-P", PWD=there) == f"{tmp_path / 'real'}\n"
    assert pwd(PWD="/") == f"{tmp_path / 'real'}\n"
    assert pwd(PWD=f"{there}/../link") == f"{tmp_path / 'real'}\n", "no dots in what is believed"
    assert pwd("-PL", PWD=there) == f"{there}\n", "the last one holds"


def test_a_folder_that_is_gone_is_one_line(tmp_path: Path) -> None:
    script = f'cd "{tmp_path}"; mkdir x; cd x; rmdir ../x; {" ".join(WORDS)} pwd'
    done = subprocess.run(["sh", "-c", script], capture_output=True, check=False, env=environment())
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1)


def test_what_is_wrong_is_one_line() -> None:
    assert "-x: unknown option" in refused("pwd", "-x")
    assert into_full("pwd") == (1, f"pwd: {NO_SPACE}")
    assert llmsh("-c", "cd /; pwd; cd usr; pwd").stdout == "/\n/usr\n"
