"""The peers: what is pinned, when it is installed again, and processes that end when they are told to."""

import ast
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from bench.peers.processes import Process, Running, Usage, cores, read_ready, usage
from bench.peers.trial import Rules, cost, measure, ramp_seconds, voice
from bench.peers.venvs import PEERS, Peer, Unavailable, fingerprint, pinned, prepare

every_peer = pytest.mark.parametrize("peer", PEERS.values(), ids=list(PEERS))


class TestWhatIsInstalled:
    @every_peer
    def test_a_peer_is_pinned_to_one_version_and_so_is_all_that_it_needs(self, peer: Peer) -> None:
        constraints = peer.constraints.read_text().splitlines()

        assert f"{peer.package}=={peer.version}" in constraints
        assert all("==" in line for line in constraints)

    @every_peer
    def test_a_peer_is_a_program_of_its_own(self, peer: Peer) -> None:
        imported: set[str] = set()
        for node in ast.walk(ast.parse(peer.server.read_text())):
            if isinstance(node, ast.Import):
                imported.update(alias.name.partition(".")[0] for alias in node.names)
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])

        assert peer.name in imported
        assert not imported & {"callbot", "bench", ""}

    @pytest.mark.parametrize(
        ("requirements", "version"),
        [
            ("other==2\nphone-bot==1.4.0", "1.4.0"),
            ("phone-bot[silero,websocket]==1.4.0a2", "1.4.0a2"),
            ('phone-bot==1.4.0; python_version >= "3.13"', "1.4.0"),
        ],
    )
    def test_the_version_is_read_from_the_requirements(self, requirements: str, version: str) -> None:
        assert pinned(requirements, "phone-bot") == version

    @pytest.mark.parametrize("requirements", ["", "phone-bot>=1", "phone-bot-extra==1", "phone-bot"])
    def test_a_version_that_is_not_pinned_is_an_error(self, requirements: str) -> None:
        with pytest.raises(ValueError, match="pin no version of phone-bot"):
            pinned(requirements, "phone-bot")

    @every_peer
    def test_an_environment_that_is_as_it_should_be_is_left_alone(self, peer: Peer, tmp_path: Path) -> None:
        python = tmp_path / peer.name / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        python.parent.mkdir(parents=True)
        python.touch()
        (tmp_path / peer.name / "installed").write_text(fingerprint(peer))
        told: list[str] = []

        assert prepare(peer, tmp_path, told.append) == python
        assert told == []

    def test_other_requirements_are_another_environment(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr("bench.peers.venvs._FOLDER", tmp_path)
        peer = Peer("bot", "phone-bot", "/ws")
        (tmp_path / "bot").mkdir()
        peer.requirements.write_text("phone-bot==1")
        peer.constraints.write_text("")
        before = fingerprint(peer)

        peer.constraints.write_text("uvloop==1")
        between = fingerprint(peer)
        peer.requirements.write_text("phone-bot==2")

        assert len({before, between, fingerprint(peer)}) == 3


@pytest.fixture
def process(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path / "folder" / "log")
    yield process
    process.stop()


def alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


class TestProcesses:
    def test_a_process_is_stopped_with_its_children(self, process: Process) -> None:
        parent = (
            "import subprocess, sys, time\n"
            "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "print('up', flush=True); time.sleep(60)"
        )
        pid = process.start([sys.executable, "-c", parent], None)
        process.wait_until(lambda: "up" in process.log.read_text())
        (child,) = psutil.Process(pid).children()
        assert usage(pid) is not None

        process.stop()

        assert usage(pid) is None
        while alive(child):  # to be killed takes a moment
            time.sleep(0.01)

    def test_a_process_that_ends_before_it_is_ready_leaves_its_last_words(self, process: Process) -> None:
        process.start([sys.executable, "-c", "import sys; sys.exit('no such port')"], None)

        with pytest.raises(Unavailable, match="its server ended with 1: no such port"):
            process.wait_until(lambda: False)

    @pytest.mark.skipif(cores()[0] is None, reason="one core, or a system that pins nothing")
    def test_a_process_is_kept_to_its_core(self, process: Process) -> None:
        core, _ = cores()
        pid = process.start([sys.executable, "-c", "import time; time.sleep(60)"], core)

        assert psutil.Process(pid).cpu_affinity() == [core]

    def test_stopping_what_was_never_started_does_nothing(self, tmp_path: Path) -> None:
        Process(tmp_path / "log").stop()

    def test_ready_is_the_first_whole_line_of_json(self) -> None:
        said = '{"webhook":"http://127.0.0.1:1/twilio/voice","auth_token":"secret","stream":null,"pids":[7]}'

        assert read_ready("") is None
        assert read_ready("loading\n" + said) is None
        assert read_ready("loading\n" + said + "\nmore") == {
            "webhook": "http://127.0.0.1:1/twilio/voice",
            "auth_token": "secret",
        }


@dataclass
class Nowhere:
    """A system that starts, or doesn't, and takes no calls."""

    place: dict[str, str] = field(default_factory=dict)
    refuses: str = ""
    stopped: int = 0
    name: str = "nowhere"
    version: str = "0"

    def prepare(self, tell: object) -> None: ...

    def start(self, core: int | None) -> Running:
        if self.refuses:
            raise Unavailable(self.refuses)
        return Running(psutil.Process().pid, self.place)

    def stop(self) -> None:
        self.stopped += 1


class TestATrial:
    def test_cost_is_per_call_and_second_of_the_time_between(self) -> None:
        idle, began, ended = Usage(0, 1.0, 50 << 20), Usage(10, 2.0, 51 << 20), Usage(30, 12.0, 70 << 20)

        spent = cost(100, idle, began, ended)

        assert spent.cores == 0.5
        assert spent.cpu_ms_per_call_second == 5.0
        assert spent.memory_kib_per_call == pytest.approx(204.8)

    def test_the_calls_come_one_after_the_other_but_never_take_all_day(self) -> None:
        assert [ramp_seconds(calls) for calls in (1, 8, 40, 120, 1000)] == [2, 2, 10, 30, 30]

    def test_a_hold_too_short_to_measure_is_refused(self) -> None:
        with pytest.raises(ValueError, match="hold_seconds: must be at least 6, not 5"):
            Rules(hold_seconds=5)

    def test_what_a_bot_says_are_four_seconds(self, tmp_path: Path) -> None:
        said = voice(tmp_path / "cache" / "reply.ulaw")

        assert said.is_absolute()
        assert said.stat().st_size == 32_000

    def test_a_system_that_does_not_start_is_stopped_all_the_same(self) -> None:
        target = Nowhere(refuses="no memory")

        with pytest.raises(Unavailable, match="no memory"):
            measure(target, 1, Rules(), (None, None))
        assert target.stopped == 1

    def test_what_the_generator_refuses_is_told_in_its_words(self) -> None:
        target, began = Nowhere(), time.monotonic()

        with pytest.raises(Unavailable, match=r"the generator ended with 2: .*webhook, stream: give one"):
            measure(target, 1, Rules(), (None, None))
        assert target.stopped == 1
        assert time.monotonic() - began < 20
