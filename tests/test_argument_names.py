import pytest

from nanoseg_bench.annotations.errors import NoAnnotationsError
from nanoseg_bench.annotations.faults import FaultyShapesError
from nanoseg_bench.argument_names import as_arguments, errors_name_arguments

ARGUMENTS = ("group_by", "classes", "skip_faulty", "format", "robust_images", "final")


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("--group-by doi: no such column", "group_by doi: no such column"),
        ("name them with --classes, or give --on-error skip", "name them with classes, or give skip_faulty=True"),
        ("say which with --from FORMAT", "say which with format FORMAT"),
        ("--robustness: is of one network", "robust_images: is of one network"),
        ("`nanoseg-bench run --final` does it; --final here", "`nanoseg-bench run --final` does it; final here"),
        ("give --mask-kind binary, or --from yolo", "give --mask-kind binary, or format yolo"),
        ("a -- b, x--y, -v, --", "a -- b, x--y, -v, --"),
        ("nanoseg-bench predict IMAGES --model RUN", "nanoseg-bench predict IMAGES --model RUN"),
    ],
)
def test_options_become_arguments_and_commands_stay(sentence, told):
    assert as_arguments(sentence, ARGUMENTS) == told


def test_an_error_keeps_its_class_and_what_it_holds(tmp_path):
    @errors_name_arguments
    def fail(error, format=""):
        raise error

    for _ in range(2):
        with pytest.raises(NoAnnotationsError, match=r"^give format yolo$"):
            fail(NoAnnotationsError("give --from yolo"))
    with pytest.raises(FaultyShapesError, match="--label") as raised:
        fail(FaultyShapesError(tmp_path, ("--label 1 names no value",)))
    assert raised.value.args[0] == tmp_path
