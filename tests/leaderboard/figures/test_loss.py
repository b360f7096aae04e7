import pytest
from matplotlib.axes import Axes

from nanoseg_bench.leaderboard.figures.drawn import NothingToDrawError
from nanoseg_bench.leaderboard.figures.loss import draw_losses
from nanoseg_bench.leaderboard.figures.style import figure_style

YOLO = "epoch,images_seen,learning_rate,loss,box,seg,seconds\n1,200,0.001,3.5,1.25,2.25,9\n2,400,0.001,3,1,2,9\n"
UNET = "epoch,images_seen,learning_rate,loss,seconds\n1,200,0.001,0.75,9\n"


def keep_history(runs, run_id, text):
    (runs / run_id).mkdir(parents=True)
    (runs / run_id / "history.csv").write_text(text, encoding="utf-8")


def test_numbers_are_those_of_the_histories(scored, contenders, table, tmp_path):
    for model in ("nsyolo", "unet", "otsu"):
        scored(model)
    keep_history(tmp_path / "runs", "nsyolo-quick-seed0", YOLO)
    keep_history(tmp_path / "runs", "unet-quick-seed0", UNET)
    with figure_style():
        drawn = draw_losses(contenders(), tmp_path / "runs")
    shown = {(row["model"], row["epoch"], row["part"]): (row["images_seen"], row["loss"]) for row in table(drawn)}
    assert shown == {
        ("nsyolo", 1, "box"): (200, 1.25),
        ("nsyolo", 1, "seg"): (200, 2.25),
        ("nsyolo", 2, "box"): (400, 1.0),
        ("nsyolo", 2, "seg"): (400, 2.0),
        ("unet", 1, "loss"): (200, 0.75),
    }
    assert drawn.notes == ("Without OTSU: no history.csv in the run's folder.",)
    # The losses of different networks are different quantities: two panels, and one more.
    titles = [axes.get_title(loc="left") for axes in drawn.figure.findobj(Axes) if axes.axison]
    assert titles == ["(a) Box loss", "(b) Mask loss", "(c) Loss"]


def test_seeds_whose_losses_have_other_parts_stand_in_panels_of_their_own(scored, contenders, table, tmp_path):
    """As U-Net's, which were trained before and after it learnt a depth."""
    for seed in (0, 1):
        scored("unet", seed=seed)
    keep_history(tmp_path / "runs", "unet-quick-seed0", UNET)
    deeper = UNET.replace(",loss,", ",loss,dice,depth,").replace("0.75", "3,1,2")
    keep_history(tmp_path / "runs", "unet-quick-seed1", deeper)
    with figure_style():
        drawn = draw_losses(contenders(), tmp_path / "runs")
    shown = {(row["seed"], row["part"]): row["loss"] for row in table(drawn)}
    assert shown == {(0, "loss"): 0.75, (1, "dice"): 1.0, (1, "depth"): 2.0}
    titles = [axes.get_title(loc="left") for axes in drawn.figure.findobj(Axes) if axes.axison]
    assert titles == ["(a) Loss", "(b) Dice loss", "(c) Depth loss"]


def test_no_history(scored, contenders, tmp_path):
    scored("otsu")
    with pytest.raises(NothingToDrawError, match=r"history\.csv; give the folder of the runs with --runs"):
        draw_losses(contenders(), tmp_path / "runs")


def test_a_damaged_history_is_named(scored, contenders, tmp_path):
    scored("nsyolo")
    keep_history(tmp_path / "runs", "nsyolo-quick-seed0", YOLO.replace("2.25", "two"))
    with pytest.raises(NothingToDrawError, match=r"nsyolo-quick-seed0.history\.csv: cannot be read"):
        draw_losses(contenders(), tmp_path / "runs")
