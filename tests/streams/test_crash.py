"""Killed workers on a real broker: no event lost, no state drifted, repeats only under equal ids."""

import pytest
from chaos import join_and_kill, kill_three_times

from streams import broker

N_EVENTS = 12_000


@pytest.mark.timeout(240)
def test_three_kills_in_mid_stream_lose_nothing_and_count_nothing_twice(kafka, tmp_path):
    with broker.kafka() as own:
        run = kill_three_times(own.bootstrap_servers, tmp_path, N_EVENTS, seed=1)
    assert run.findings.sound, run


@pytest.mark.timeout(240)
def test_three_kills_with_the_state_folder_lost_each_time_lose_nothing_either(kafka, tmp_path):
    with broker.kafka() as own:
        run = kill_three_times(own.bootstrap_servers, tmp_path, N_EVENTS, seed=2, wipe=True)
    assert run.findings.sound, run


@pytest.mark.timeout(240)
def test_a_worker_that_joins_under_load_takes_over_when_the_first_is_killed(kafka, tmp_path):
    with broker.kafka() as own:
        run = join_and_kill(own.bootstrap_servers, tmp_path, N_EVENTS, seed=3)
    assert run.findings.sound, run
