import threading
from concurrent.futures import CancelledError

import pytest

from callbot.providers.inference import InferencePool


class Gate:
    """Work that a test lets through."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        assert self.open.wait(10)


def test_urgent_work_overtakes_what_waits():
    pool, gate, order = InferencePool(1), Gate(), list[str]()
    pool.submit(gate)
    gate.begun.wait(10)
    for name, urgent in (("partial", False), ("another", False), ("final", True)):
        pool.submit(lambda name=name: order.append(name), urgent=urgent)
    gate.open.set()
    pool.submit(lambda: None).result(10)
    pool.close()
    assert order == ["final", "partial", "another"]


def test_a_thread_is_kept_free_for_urgent_work():
    pool, gates = InferencePool(2), [Gate(), Gate()]
    slow = [pool.submit(gate) for gate in gates]
    assert gates[0].begun.wait(10)
    assert pool.submit(lambda: "at once", urgent=True).result(10) == "at once"
    assert not gates[1].begun.is_set()
    for gate in gates:
        gate.open.set()
    for future in slow:
        future.result(10)
    pool.close()


def test_an_error_comes_out_where_the_result_would():
    pool = InferencePool(1)
    failed = pool.submit(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        failed.result(10)
    assert pool.submit(lambda: "alive").result(10) == "alive"
    pool.close()


def test_work_cancelled_before_its_turn_is_not_done():
    pool, gate, done = InferencePool(1), Gate(), list[int]()
    pool.submit(gate)
    gate.begun.wait(10)
    assert pool.submit(lambda: done.append(1)).cancel()
    gate.open.set()
    pool.close()
    assert not done


def test_it_says_what_runs_and_what_waits():
    pool, gate = InferencePool(2), Gate()
    assert (pool.running, pool.waiting) == (0, 0)
    running = pool.submit(gate)
    assert gate.begun.wait(10)
    waiting = [pool.submit(lambda: None) for _ in range(3)]  # the other thread is kept for what is urgent
    assert (pool.running, pool.waiting) == (1, 3)
    gate.open.set()
    for job in (running, *waiting):
        job.result(10)
    pool.close()
    assert (pool.running, pool.waiting) == (0, 0)


def test_closing_finishes_what_runs_and_cancels_what_waits():
    pool, gate = InferencePool(1), Gate()
    running = pool.submit(gate)
    gate.begun.wait(10)
    waiting = pool.submit(lambda: None)
    closing = threading.Thread(target=pool.close)
    closing.start()
    with pytest.raises(CancelledError):
        waiting.result(10)
    gate.open.set()
    closing.join(10)
    assert running.done()
    assert pool.submit(lambda: None).cancelled()
