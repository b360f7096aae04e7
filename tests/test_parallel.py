import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from nanoseg_bench.errors import WorkerError
from nanoseg_bench.parallel import Workers, default_workers, each


def square(number):
    return number * number, os.getpid()


def test_results_come_in_order_from_several_processes():
    results = list(each(square, range(40), 2, "squares"))
    assert [result for result, _ in results] == [number * number for number in range(40)]
    assert os.getpid() not in {process for _, process in results}


def test_few_tasks_stay_in_this_process():
    assert {process for _, process in each(square, range(5), 4, "squares")} == {os.getpid()}
    assert list(each(square, [], 4, "squares")) == []


def test_passes_share_their_processes():
    with Workers(2) as workers:
        assert {process for _, process in workers.each(square, range(5), "few")} == {os.getpid()}
        used = {process for _, process in workers.each(square, range(40), "many")}
        used |= {process for _, process in workers.each(square, range(5), "few again")}
        # Two at most over both passes; the first to be up may have done all of one.
        assert len(used) <= 2
        assert os.getpid() not in used
        children = [psutil.Process(process) for process in used]
    assert not any(child.is_running() for child in children)


def touch(path):
    path.touch()
    return path.name


def test_large_results_are_not_piled_up(tmp_path):
    tasks = [tmp_path / f"{number:02d}" for number in range(40)]
    with Workers(2) as workers:
        results = workers.each(touch, tasks, "files", ahead=2)
        assert [next(results) for _ in range(3)] == ["00", "01", "02"]
        time.sleep(0.5)  # time enough for all of them
        assert len(list(tmp_path.iterdir())) <= 3 + 2 * 2
        assert list(results) == [task.name for task in tasks[3:]]
        assert next(workers.each(touch, tasks, "files", ahead=2)) == "00"  # what is not taken does no harm


def test_default_is_bounded(monkeypatch):
    assert 1 <= default_workers() <= 8
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)  # as taskset -c 0 does
    assert default_workers() == 1


def test_workers_die_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "long.py"
    script.write_text(
        "import time\n"
        "from nanoseg_bench.parallel import each\n"
        "if __name__ == '__main__':\n"
        "    list(each(time.sleep, [60] * 40, 2, 'sleep'))\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 300
    # Two workers and the resource tracker of multiprocessing.
    while len(psutil.Process(parent.pid).children()) < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    children = psutil.Process(parent.pid).children()
    time.sleep(2)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert len(children) >= 2
    assert not alive


def remember():
    os.environ["REMEMBERED"] = "yes"


def remembered(_):
    return os.environ.get("REMEMBERED")


def test_workers_are_initialised_and_this_process_is_not():
    assert set(each(remembered, range(20), 2, "look", at_once=5, initializer=remember)) == {"yes"}
    assert remembered(0) is None
    assert set(each(remembered, range(5), 2, "look", initializer=remember)) == {None}


@pytest.mark.parametrize(("least", "own"), [(10, False), (11, True)])
def test_tasks_that_pay_for_a_worker(least, own):
    results = list(each(square, range(20), 4, "squares", at_once=3, least_per_worker=least))
    assert [result for result, _ in results] == [number * number for number in range(20)]
    processes = {process for _, process in results}
    assert (processes == {os.getpid()}) == own
    assert len(processes) <= 2


def die_at_seven(number):
    if number == 7:
        os.kill(os.getpid(), signal.SIGTERM)
    return number


def test_a_worker_that_is_killed_is_told():
    with pytest.raises(WorkerError, match=r"dying: a worker process was killed, maybe for memory.*--workers 1"):
        list(each(die_at_seven, range(20), 2, "dying"))


@pytest.mark.parametrize("ahead", [None, 2])
def test_a_worker_that_was_killed_before_is_told_too(ahead):
    """What the pool itself raised came through: handing tasks over to it was not looked after."""
    with Workers(2) as workers:
        with pytest.raises(WorkerError):
            list(workers.each(die_at_seven, range(20), "dying", ahead=ahead))
        with pytest.raises(WorkerError, match=r"squares: a worker process was killed, maybe for memory"):
            list(workers.each(square, range(20), "squares", ahead=ahead))


def write_slowly(path):
    time.sleep(0.05)
    path.write_text("")


def test_closing_ends_the_writing(tmp_path):
    tasks = [tmp_path / str(number) for number in range(400)]
    with closing(each(write_slowly, tasks, 2, "writing")) as results:
        next(results)
    written = len(list(tmp_path.iterdir()))
    time.sleep(0.5)
    assert 1 <= len(list(tmp_path.iterdir())) == written < 400
