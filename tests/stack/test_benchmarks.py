"""bench/run.sh refuses what it does not know, before it touches anything."""

import os
import subprocess

import pytest

from tests.support.project import ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="bench/run.sh needs root")


@pytest.mark.timeout(300)  # the first run makes its Python environment
@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--contestants", "nobody"], "there is no 'nobody'; there are: warren, textbook"),
        (["--measurements", "drain,speed"], "there is no 'speed'"),
        (["--rounds", "many"], "--rounds"),
        (["--faster"], "--faster"),
    ],
    ids=["contestant", "measurement", "rounds", "option"],
)
def test_a_wrong_argument_is_named(docker_engine: None, arguments: list[str], complaint: str) -> None:
    result = subprocess.run(
        [ROOT / "bench/run.sh", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert complaint in result.stderr
