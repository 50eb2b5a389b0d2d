"""A disk that takes nothing any more stops the worker with a clear message, and harms nothing."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chaos import Oracle, WorkerProcess, shop_events, wait_for

from streams.broker import KafkaBroker

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a tmpfs with the given options, and takes it away afterwards."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "tmpfs", str(place), "-o"]

    def make(options: str) -> Path:
        done = subprocess.run([*command, options], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"a small disk needs the right to mount a tmpfs: {done.stderr.strip()}")
        return place

    yield make
    subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=False)


def test_a_full_disk_stops_the_worker_with_the_way_out_and_it_goes_on_when_there_is_room(
    own_kafka: KafkaBroker, tmp_path: Path, mount: Mount
) -> None:
    disk = mount("size=24m")
    worker = WorkerProcess(own_kafka.bootstrap_servers, "full", "w1", tmp_path)
    worker.extra = {"RILLET_DATADIR": str(disk)}
    worker.start()
    oracle = Oracle(own_kafka.bootstrap_servers)
    wait_for(worker.ready, "the worker is ready", worker=worker)
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    ballast.write_bytes(bytes(max(0, free - 512 * 1024)))
    n = 20_000
    for i, (topic, event) in enumerate(shop_events(n, 500, 1, int(time.time() * 1000) - n)):
        oracle.send(topic, event)
        if i % 50 == 0:
            time.sleep(50 / 4_000)
            if not worker.running:
                break
    oracle.flush()
    wait_for(lambda: not worker.running, "the worker has stopped", worker=worker)
    assert worker.process is not None
    assert worker.process.returncode == 70
    assert f"The state in {disk / 'w1'}" in worker.tail()
    assert "Make room" in worker.tail()

    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
    worker.start()
    wait_for(lambda: oracle.settled("full"), "all events are committed", worker=worker)
    assert worker.stop() == 0
    found = oracle.check("full")
    assert found.sound, found


def test_a_state_directory_that_cannot_be_written_is_refused_by_name(tmp_path: Path, mount: Mount) -> None:
    disk = mount("ro,size=1m")
    worker = WorkerProcess("127.0.0.1:1", "readonly", "w1", tmp_path)
    worker.extra = {"RILLET_DATADIR": str(disk)}
    worker.start()
    assert worker.process is not None
    assert worker.process.wait(60) == 2
    assert f"Nothing can be written to the state directory {disk / 'w1'}" in worker.tail()
    assert "RILLET_DATADIR" in worker.tail()
