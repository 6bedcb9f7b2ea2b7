"""What runs beside a test ends with it, whatever becomes of the test."""

import signal
import sys
import threading

import pytest
from tests.beside import after, running, running_process


def test_the_test_that_fails_tells_them_to_stop_and_says_what_was_raised_beside_it() -> None:
    stopped, ended = threading.Event(), threading.Event()

    def works() -> None:
        assert stopped.wait(60)
        ended.set()

    def breaks() -> None:
        raise ValueError("beside")

    def fails() -> None:
        with running(works, breaks, stop=stopped.set) as [_, broken]:
            assert isinstance(broken.exception(60), ValueError)
            raise KeyError("the test")

    with pytest.raises(KeyError) as caught:
        fails()
    assert ended.is_set()
    assert caught.value.__notes__ == ["beside it was raised: ValueError('beside')"]


def test_what_is_raised_beside_a_test_that_passes_fails_it() -> None:
    with pytest.raises(ZeroDivisionError), running(lambda: 1 // 0):
        pass


def test_one_that_does_not_end_fails_the_test_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.beside._LAST_SECONDS", 0.1)
    stopped = threading.Event()
    with (
        pytest.raises(AssertionError, match=r"not ended 0\.1 s after the end: beside: Event.wait"),
        running(stopped.wait),
    ):
        pass
    stopped.set()


def test_results_come_in_the_order_of_the_calls() -> None:
    with running(after(0.1, lambda: "late"), lambda: "early") as results:
        assert [result.result(60) for result in results] == ["late", "early"]


def test_a_process_is_gone_after_the_block() -> None:
    forever = "import time; print('here', flush=True); time.sleep(600)"
    with running_process([sys.executable, "-c", forever]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    assert process.returncode == -signal.SIGKILL
