"""Functions on the machines of a Ray cluster: two nodes on this one, in real processes."""

import os
from contextlib import closing
from pathlib import Path

import pytest
from finished_runs import write_otsu_run
from ray_nodes import two_nodes

from nanoseg_bench.cli import main
from nanoseg_bench.cluster import MOST_TRIES, Cluster
from nanoseg_bench.errors import ClusterError, UsageError, WorkerError
from nanoseg_bench.parallel import Workers, each


@pytest.fixture(scope="module")
def nodes():
    with two_nodes() as (cluster, _):
        yield cluster.address


@pytest.fixture
def cluster(nodes):
    with Cluster(nodes) as connected:
        yield connected


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}


@pytest.mark.slow
def test_results_come_in_order_and_errors_as_they_were_raised(cluster):
    assert (cluster.cores, cluster.gpus, cluster.describe()) == (2, 0, "2 machines, 2 cores")
    words = [str(number) for number in range(50)]
    assert list(each(int, words, 4, "numbers", at_once=3, open_pool=cluster.open_pool)) == list(range(50))
    with pytest.raises(ValueError, match="invalid literal for int"):
        list(each(int, [*words, "x"], 4, "numbers", open_pool=cluster.open_pool))


@pytest.mark.slow
def test_tasks_work_in_the_folder_of_the_command_and_know_their_cores(cluster, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cluster.call(os.getcwd, name="folder") == str(tmp_path)
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert cluster.call(os.getenv, "NANOSEG_BENCH_CORES", name="cores") == "1"
    assert cluster.call(os.getenv, "YOLO_OFFLINE", name="quiet") == "true"
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    task = cluster.submit(os.getcwd, name="folder")
    assert task.result(60) == str(tmp_path / "gone")
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "never")
    with pytest.raises(ClusterError, match=r"cannot go to .*never.*lie on storage that every machine has"):
        cluster.call(os.getcwd, name="folder")


@pytest.mark.slow
def test_a_process_that_dies_each_time_is_given_up(cluster):
    with pytest.raises(WorkerError, match=rf"dying: given up after {MOST_TRIES} tries"):
        cluster.call(os._exit, 1, name="dying")
    with Workers(4, open_pool=cluster.open_pool) as workers, pytest.raises(WorkerError, match="exit: given up after"):
        list(workers.each(os._exit, [1] * 20, "dying"))


@pytest.mark.slow
def test_a_pass_that_is_left_early_ends(cluster, tmp_path):
    tasks = [tmp_path / str(number) for number in range(2000)]
    with closing(each(Path.touch, tasks, 2, "writing", open_pool=cluster.open_pool)) as results:
        next(results)
    written = len(list(tmp_path.iterdir()))
    assert 1 <= written < len(tasks)
    assert cluster.call(len, [], name="after") == 0
    assert len(list(tmp_path.iterdir())) == written


@pytest.mark.slow
def test_what_is_stopped_is_an_interruption_and_can_be_started_again(cluster):
    cluster.stop()
    with pytest.raises(KeyboardInterrupt):
        cluster.call(len, [], name="late")
    cluster.restart()
    assert cluster.call(len, [1], name="later") == 1


@pytest.mark.slow
def test_cores_and_devices_are_shared_out(cluster):
    assert [cluster.cores_each(at_once) for at_once in (1, 2, 3)] == [1, 1, 1]
    assert cluster.resolve_device("auto") == cluster.resolve_device("cpu") == "cpu"
    with pytest.raises(UsageError, match=r"--device cuda:1: Ray chooses the GPU"):
        cluster.resolve_device("cuda:1")


@pytest.mark.slow
def test_a_set_is_the_same_bytes_from_a_cluster(nodes, tmp_path, capsys):
    words = ["prepare", "--images", "24", "--size", "128", "--easy", "--augment-copies", "1"]
    assert main([*words, "--workers", "1", "--out", str(tmp_path / "local" / "set")]) == 0
    assert main([*words, "--executor", "ray", "--address", nodes, "--out", str(tmp_path / "ray" / "set")]) == 0
    local, spread = files_of(tmp_path / "local"), files_of(tmp_path / "ray")
    assert len(local) > 100 and local == spread


@pytest.mark.slow
def test_an_analysis_is_the_same_from_a_cluster_and_goes_on(nodes, tiny_set, tmp_path, capsys):
    run = write_otsu_run(tmp_path / "runs", canvas=128)
    images = sorted(map(str, (tiny_set / "images").rglob("*.png")))[:8]
    words = ["analyze", *images, "--no-ocr", "--model", str(run), "--to", "overlay", "--out"]
    assert main([*words, str(tmp_path / "local")]) == 0
    spread = [*words, str(tmp_path / "ray"), "--executor", "ray", "--address", nodes]
    assert main(spread) == 0
    local, found = files_of(tmp_path / "local"), files_of(tmp_path / "ray")
    when = Path("analysis.json")
    assert {**local, when: b""} == {**found, when: b""} and len(local) > 2 * 8
    capsys.readouterr()
    assert main(spread) == 0
    assert "analysed earlier: 8 images" in capsys.readouterr().out
    assert main([*spread, "--device", "cuda"]) == 2


@pytest.mark.slow
def test_runs_are_scored_and_checked_on_a_cluster(nodes, tiny_set, tmp_path, capsys, runs_in_this_process):
    boards, runs = tmp_path / "boards", tmp_path / "runs"
    places = [str(tiny_set), "--runs", str(runs), "--leaderboards", str(boards)]
    assert main(["run", *places, "--preset", "smoke", "--models", "otsu", "--seeds", "0", "1", "2"]) == 0
    records = files_of(boards / "records")
    capsys.readouterr()
    spread = ["score", *places, "--executor", "ray", "--address", nodes]
    assert main([*spread, "--check"]) == 0
    told = "checked and found as recorded: otsu-smoke-seed0, otsu-smoke-seed1, otsu-smoke-seed2"
    assert f"3 runs {told}" in capsys.readouterr().out
    (spoilt,) = (boards / "records").rglob("otsu-smoke-seed1-test.json")
    spoilt.write_text(spoilt.read_text().replace('"precision": 0.', '"precision": 1.', 1))
    assert main([*spread, "--check"]) == 1
    assert "refused: " in (out := capsys.readouterr().out) and "scores.precision" in out
    assert main(spread) == 0
    assert files_of(boards / "records") == records


def test_no_cluster_at_an_address_is_told():
    nowhere = Cluster("127.0.0.1:1")
    with pytest.raises(ClusterError, match=r"--address 127.0.0.1:1: no Ray there.*ray start --head"), nowhere:
        pass
    with pytest.raises(UsageError, match="--address somewhere: write HOST:PORT, or auto"), Cluster("somewhere"):
        pass
