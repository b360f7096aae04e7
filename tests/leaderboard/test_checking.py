import pytest
from earlier_files import rewrite

from nanoseg_bench.cli import main
from nanoseg_bench.leaderboard.build import write_leaderboards
from nanoseg_bench.leaderboard.checking import check_leaderboards


@pytest.fixture
def boards(tmp_path, make_record, keep_records):
    keep_records(tmp_path, make_record("yolo11n", 0.5), make_record("nsyolo", 0.25), make_record("unet", 0.125))
    write_leaderboards(tmp_path, "toy")
    return tmp_path


def test_untouched_files_pass(boards, capsys):
    before = {path: path.read_bytes() for path in boards.glob("*.csv")}
    assert check_leaderboards(boards, "toy") == []
    assert main(["leaderboard", "--check", "--leaderboards", str(boards)]) == 0
    assert "toy: the CSV files are what the records give" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in boards.glob("*.csv")} == before


def test_an_edited_cell_is_named(boards, capsys):
    path = boards / "toy-test.csv"
    path.write_text(path.read_text().replace(",0.25,", ",0.75,", 1))
    fault = f"{path}, line 3, column map_50_95: holds '0.75', the records give '0.25'"
    assert check_leaderboards(boards, "toy") == [fault]
    assert main(["leaderboard", "--check", "--leaderboards", str(boards)]) == 1
    message = capsys.readouterr().err
    assert fault in message
    assert "`nanoseg-bench leaderboard` writes them again" in message
    assert ",0.75," in path.read_text()
    assert main(["leaderboard", "--leaderboards", str(boards)]) == 0
    assert check_leaderboards(boards, "toy") == []


@pytest.mark.parametrize(
    "edit, message",
    [
        (lambda text: text.replace("rank,", "place,", 1), "line 1: is not what the records give"),
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "line 4: is missing"),
        (lambda text: text + "1,mine\n", "line 5: is one too many"),
        (lambda text: text.replace("\n", "\r\n"), "line 1: is not what the records give"),
        (lambda text: text[:-1], "line 4: is not what the records give"),
    ],
)
def test_other_edits_are_found(boards, edit, message):
    path = boards / "toy-test.csv"
    path.write_bytes(edit(path.read_text()).encode())
    assert check_leaderboards(boards, "toy") == [f"{path}, {message}"]


def test_missing_and_additional_tables_are_found(boards):
    (boards / "toy-ablation.csv").unlink()
    (boards / "toy-ood.csv").write_text("rank,model\n1,mine\n")
    assert check_leaderboards(boards, "toy") == [
        f"{boards / 'toy-ablation.csv'}: is missing",
        f"{boards / 'toy-ood.csv'}: no record gives this table",
    ]


def test_an_edited_record_is_refused_and_shows_in_its_table(boards, capsys):
    path = boards / "records" / "toy" / "unet-quick-seed0-test.json"
    path.write_text(path.read_text().replace("0.125", "0.875"))
    assert main(["leaderboard", "--check", "--leaderboards", str(boards)]) == 1
    assert f"{path}: not a record" in capsys.readouterr().err
    rewrite(path)  # one of an earlier version has no hash of itself
    fault, _ = check_leaderboards(boards, "toy")  # the ablation's ranks change too
    assert fault == f"{boards / 'toy-test.csv'}, line 2, column model: holds 'yolo11n', the records give 'unet'"


def test_a_table_without_any_record_is_found(boards, capsys):
    (boards / "mine-test.csv").write_text("rank,model\n1,mine\n")
    assert main(["leaderboard", "--check", "--leaderboards", str(boards)]) == 1
    assert f"{boards / 'mine-test.csv'}: no record gives this table" in capsys.readouterr().err
    assert main(["leaderboard", "--check", "toy", "--leaderboards", str(boards)]) == 0


def test_another_reference_is_checked_with_itself(boards, capsys):
    board = ["leaderboard", "--leaderboards", str(boards)]
    assert main([*board, "--reference", "unet"]) == 0
    assert main([*board, "--check"]) == 1
    assert "column reference: holds 'unet', the records give 'yolo11n'" in capsys.readouterr().err
    assert main([*board, "--check", "--reference", "unet"]) == 0
    assert main([*board, "--reference", "mask-rcnn"]) == 2
    assert "--reference mask-rcnn: no ranked row" in capsys.readouterr().err
