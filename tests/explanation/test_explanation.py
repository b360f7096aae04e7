import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch.nn import functional

from nanoseg_bench.annotations.raster import to_mask
from nanoseg_bench.errors import ModelError, UsageError
from nanoseg_bench.explanation.explanation import explain
from nanoseg_bench.explanation.figure import draw_explanation
from nanoseg_bench.explanation.panels import bar_ticks
from nanoseg_bench.explanation.points import choose_points
from nanoseg_bench.images import as_rgb
from nanoseg_bench.inference.predictor import Predictor
from nanoseg_bench.models.base import CanvasImage
from nanoseg_bench.models.recipe import load_recipe
from nanoseg_bench.models.registry import build
from nanoseg_bench.nsyolo import SCHEMES
from nanoseg_bench.nsyolo.badsconv import BADSConv
from nanoseg_bench.preparation.letterbox import Letterbox

HEIGHT, WIDTH = 150, 240
CANVAS = 192, 128  # columns and rows: 192×120 px of content, and 4 rows of padding above and below
MIN_SCORE = 0.9


@pytest.fixture(scope="module")
def model(open_scheme):
    return open_scheme()


@pytest.fixture(scope="module")
def explanation(model, pixels):
    return explain(model, pixels, MIN_SCORE)


@pytest.fixture(scope="module")
def by_hand(model, pixels):
    """The network's input, its class scores per stride, and what enters BADSConv, by plain calls."""
    letterbox = Letterbox(WIDTH, HEIGHT, CANVAS[0], stride=32)
    images = torch.from_numpy(as_rgb(letterbox.apply(pixels)).transpose(2, 0, 1).copy())[None].float() / 255
    network = model.network
    block = network.get_submodule("model.19.m.0.cv2")
    assert isinstance(block, BADSConv)
    entering = []
    handle = block.register_forward_pre_hook(lambda _, arguments: entering.append(arguments[0].clone()))
    with torch.no_grad():
        (output, _), _ = network(images)
    handle.remove()
    shapes = [(CANVAS[1] // stride, CANVAS[0] // stride) for stride in (8, 16, 32)]
    parts = output[:, 4:6].amax(1).split([rows * columns for rows, columns in shapes], dim=1)
    return [part.reshape(1, 1, *shape) for part, shape in zip(parts, shapes, strict=True)], block, entering[0]


def read_at(values, x, y):
    """A map (1, 1, h, w) at points of the micrograph: its content begins 4 px below the top; borders are repeated."""
    points = np.stack((x / 1.25, y / 1.25 + 4), axis=-1)
    grid = torch.from_numpy(2 * points / CANVAS - 1)[None, None]
    return functional.grid_sample(values.double(), grid, padding_mode="border", align_corners=False)[0, 0, 0].numpy()


def test_particles_are_those_of_predict(model, explanation, pixels):
    letterbox = Letterbox(WIDTH, HEIGHT, CANVAS[0])
    image = CanvasImage("discs", as_rgb(letterbox.apply(pixels)), letterbox)
    (expected,) = model.predict([image], min_score=MIN_SCORE, limit=10**6)
    assert len(expected) > 5
    assert [(each.label, each.region) for each in explanation.instances] == [
        (each.label, each.region) for each in expected
    ]
    assert [each.score for each in explanation.instances] == pytest.approx([each.score for each in expected])


def test_they_are_those_of_predict_where_the_recipe_predicts_in_another_way(model, explanation, pixels, monkeypatch):
    changes = {"judged_canvas": 256, "mask_cleaning": "largest-filled"}
    monkeypatch.setattr(model, "recipe", model.recipe.model_copy(update=changes))
    monkeypatch.setattr(model, "options", model.options.model_copy(update={"nms_iou": 0.2}))
    found = explain(model, pixels, MIN_SCORE)
    expected = Predictor(model).predict(pixels, MIN_SCORE)
    assert len(expected) > 5 and found.letterbox.canvas == 256
    assert [each.region for each in found.instances] == [each.region for each in expected]
    assert [each.region for each in found.instances] != [each.region for each in explanation.instances]


def test_confidence_is_the_best_class_score_of_a_plain_forward(explanation, by_hand):
    scores, _, _ = by_hand
    best = torch.cat([functional.interpolate(each, size=CANVAS[::-1], mode="bilinear") for each in scores]).amax(0)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    expected = read_at(best[None], xs.ravel() + 0.5, ys.ravel() + 0.5).reshape(HEIGHT, WIDTH)
    assert explanation.confidence.shape == (HEIGHT, WIDTH) and expected.std() > 0.01
    # OpenCV interpolates at 32 places between two pixels.
    np.testing.assert_allclose(explanation.confidence, expected, atol=np.abs(np.diff(expected)).max() / 8)


def test_mask_probability_is_above_half_on_the_particles(explanation):
    union = np.logical_or.reduce([to_mask(each, HEIGHT, WIDTH) for each in explanation.instances])
    assert 0.05 < union.mean() < 0.95
    likely = explanation.mask_probability > 0.5
    assert (union & likely).sum() / (union | likely).sum() > 0.9
    assert explanation.instance_boundary.shape == (HEIGHT, WIDTH)
    assert 0 <= explanation.instance_boundary.min() < explanation.instance_boundary.max() <= 1


def test_boundary_attention_is_the_blocks_own(explanation, by_hand):
    _, block, entering = by_hand
    with torch.no_grad():
        expected_map = block.boundary_attention(entering)
    ys, xs = np.mgrid[:HEIGHT, :WIDTH]
    expected = read_at(expected_map, xs.ravel() + 0.5, ys.ravel() + 0.5).reshape(HEIGHT, WIDTH)
    (snakes,) = explanation.snakes
    np.testing.assert_allclose(snakes.attention, expected, atol=(expected.max() - expected.min()) / 50)


def test_snakes_are_in_original_pixels(explanation, by_hand):
    _, block, entering = by_hand
    with torch.no_grad():
        horizontal, vertical = block.offsets(entering)[0].double().numpy().reshape(2, 5, 8, 12)
    (snakes,) = explanation.snakes
    assert snakes.along_x.shape == snakes.along_y.shape == (8, 12, 5, 2)
    for row in range(8):
        for column in range(12):
            for i, between in enumerate(((0, 1), (1,), (), (3,), (3, 4))):
                bend_y = sum(vertical[k, row, column] for k in between)
                bend_x = sum(horizontal[k, row, column] for k in between)
                for positions, x, y in (
                    (snakes.along_x, column + i - 2, row + bend_y),
                    (snakes.along_y, column + bend_x, row + i - 2),
                ):
                    # 192 px of the network are 240 of the micrograph; 4 rows above it are padding.
                    expected = ((np.clip([x, y], 0, (11, 7)) + 0.5) * 16 - (0, 4)) * 1.25
                    np.testing.assert_allclose(positions[row, column, i], expected, atol=1e-3)


def test_regions_cover_the_input_and_points_find_their_cells(explanation):
    (routing,), (snakes,) = explanation.routings, explanation.snakes
    # The map's 6 columns of tokens are padded to 8, so the last regions are empty.
    column_edges, row_edges = np.array([0, 64, 128, 192, 192]), np.array([0, 32, 64, 96, 128])
    for number, (x0, y0, x1, y1) in enumerate(routing.regions):
        row, column = divmod(number, 4)
        np.testing.assert_allclose((x0, x1), column_edges[[column, column + 1]] * 1.25)
        np.testing.assert_allclose((y0, y1), (row_edges[[row, row + 1]] - 4) * 1.25)
    for x in (0, 79.9, 80.1, 239.999999):
        for y in (0, 34.9, 35.1, 149.999999):
            canvas_x, canvas_y = x / 1.25, y / 1.25 + 4
            assert explanation.region_at((x, y), routing) == canvas_y // 32 * 4 + canvas_x // 64
            assert explanation.cell_at((x, y), snakes) == (canvas_y // 16, canvas_x // 16)
    for point in ((-1, 5), (240, 5), (5, 150), (float("nan"), 5)):
        with pytest.raises(UsageError, match="240x150"):
            explanation.cell_at(point, snakes)
        with pytest.raises(UsageError, match="outside"):
            explanation.region_at(point, routing)


def stays(snakes, row, column):
    """Whether a cell's snakes are neither cut off at the map's border nor reach out of the micrograph."""
    points = [*snakes.along_x[row, column], *snakes.along_y[row, column]]
    return 2 <= row < 6 and 2 <= column < 10 and all(0 <= x < WIDTH and 0 <= y < HEIGHT for x, y in points)


@pytest.mark.parametrize("scheme", ["nsyolo", "yolo11n-c3ds"])
def test_chosen_points_are_the_strongest_of_their_outlines(scheme, open_scheme, pixels):
    explanation = explain(open_scheme(scheme), pixels, MIN_SCORE)
    snakes = explanation.snakes[-1]
    strength = explanation.instance_boundary if snakes.attention is None else snakes.attention
    points = choose_points(explanation, snakes, 3)
    assert 1 <= len(points) <= 3
    cells = [explanation.cell_at(point, snakes) for point in points]
    assert all(stays(snakes, *cell) for cell in cells)
    for number, ((x, y), cell) in enumerate(zip(points, cells, strict=True)):
        assert all(max(abs(cell[0] - r), abs(cell[1] - c)) >= 5 for r, c in cells[:number])
        on_outline = []
        for instance in explanation.instances:
            mask = np.pad(to_mask(instance, HEIGHT, WIDTH), 1)
            around = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
            outline = mask[1:-1, 1:-1] & ~around
            if outline[int(y), int(x)]:
                on_outline.append((outline, instance))
        assert on_outline
        if number == 0:
            rows, columns = np.nonzero(on_outline[0][0])
            inner = [
                strength[r, c]
                for r, c in zip(rows, columns, strict=True)
                if stays(snakes, *explanation.cell_at((c + 0.5, r + 0.5), snakes))
            ]
            assert strength[int(y), int(x)] == max(inner)


def test_without_a_particle_points_are_where_the_confidence_is_highest(model, pixels):
    explanation = explain(model, pixels, 1.0)
    (snakes,) = explanation.snakes
    points = choose_points(explanation, snakes, 3)
    assert not explanation.instances and 1 <= len(points) <= 3
    cells = [explanation.cell_at(point, snakes) for point in points]
    assert all(stays(snakes, *cell) for cell in cells)
    assert all(max(abs(a[0] - b[0]), abs(a[1] - b[1])) >= 5 for a in cells for b in cells if a is not b)
    confidence = [explanation.confidence[int(y), int(x)] for x, y in points]
    assert confidence == sorted(confidence, reverse=True)
    middles = {
        (row, column): ((column + 0.5) * 16 * 1.25, ((row + 0.5) * 16 - 4) * 1.25)
        for row in range(8)
        for column in range(12)
        if stays(snakes, row, column)
    }
    assert confidence[0] == max(explanation.confidence[int(y), int(x)] for x, y in middles.values())


def test_on_a_tiny_map_points_at_the_border_count(open_scheme, pixels):
    explanation = explain(open_scheme(canvas=64), pixels, 0.5)
    assert explanation.snakes[-1].along_x.shape == (4, 4, 5, 2)
    assert len(choose_points(explanation, explanation.snakes[-1], 3)) == 1


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_a_scheme_lacks_is_said_and_the_rest_is_drawn(scheme, open_scheme, pixels):
    explanation = explain(open_scheme(scheme), pixels, MIN_SCORE)
    said = " ".join(explanation.missing())
    assert ("No boundary attention and no snakes" in said) == (scheme in ("yolo11n", "yolo11n-c2psa-bra"))
    assert ("plain DSConv" in said) == (scheme == "yolo11n-c3ds")
    assert ("No routed regions" in said) == (scheme not in ("nsyolo", "yolo11n-c2psa-bra"))
    points = choose_points(explanation, explanation.snakes[-1], 4) if explanation.snakes else []
    figure = draw_explanation(explanation, points)
    titles = [text.get_text() for text in figure.texts if text.get_text().startswith("(")]
    panels = 4 + 2 * bool(explanation.snakes) + ("BADS" in str(SCHEMES[scheme])) + ("BRA" in str(SCHEMES[scheme]))
    assert len(titles) == panels
    assert ("Routed" in titles[-1]) == bool(explanation.routings)


@pytest.mark.parametrize("size", [(30, 300), (300, 30), (1, 1)])
def test_no_text_is_cut_off_or_runs_into_the_next_panel(size, open_scheme):
    classes = tuple(f"nanoparticle of kind {number}" for number in range(9))
    grey = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    explanation = explain(open_scheme(classes=classes), grey, 0.5)
    figure = draw_explanation(explanation, [(size[1] / 2, size[0] / 2)])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = figure.bbox.width, figure.bbox.height
    columns = sorted({round(axes.get_position(original=True).x0 * width) for axes in figure.axes})
    texts = [text for text in figure.findobj(lambda each: hasattr(each, "get_text")) if text.get_text()]
    assert len(texts) > 40
    for text in texts:
        box = text.get_window_extent(renderer)
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height, text.get_text()
        if text is not figure.texts[0]:
            assert not any(box.x0 + 1 < left < box.x1 for left in columns), text.get_text()


@pytest.mark.parametrize("pixels_of", ["constant", "colour"])
def test_constant_and_colour_images(pixels_of, open_scheme):
    image = np.full((40, 60), 7, np.uint8)
    if pixels_of == "colour":
        image = np.random.default_rng(1).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    explanation = explain(open_scheme(), image, 1.0)
    assert explanation.instances == () and "No particle" in explanation.missing()[0]
    assert not explanation.mask_probability.any()
    assert all(np.isfinite(each).all() for each in explanation.arrays().values())
    assert draw_explanation(explanation, []).axes


@pytest.mark.parametrize("size", [(1, 1), (300, 8), (8, 300)])
def test_tiny_and_narrow_images(size, open_scheme):
    grey = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    explanation = explain(open_scheme(), grey, 0.5)
    assert all(np.isfinite(each).all() for each in explanation.arrays().values())
    assert explanation.confidence.shape == explanation.mask_probability.shape == size
    assert draw_explanation(explanation, choose_points(explanation, explanation.snakes[-1], 4)).axes


@pytest.mark.slow
def test_a_thousand_particles(open_scheme, pixels):
    explanation = explain(open_scheme(canvas=416), pixels, 0.0)
    assert len(explanation.instances) > 1000
    assert all(np.isfinite(each).all() for each in explanation.arrays().values())
    figure = draw_explanation(explanation, choose_points(explanation, explanation.snakes[-1], 4))
    FigureCanvasAgg(figure).draw()


def test_a_model_of_another_kind_is_refused(pixels):
    otsu = build(load_recipe("otsu", "quick"), ["particle"], 10)
    with pytest.raises(ModelError, match="otsu cannot be explained"):
        explain(otsu, pixels, 0.5)


@pytest.mark.parametrize(
    ("low", "high", "labels"),
    [
        (0.0, 1.0, ["0.00", "0.25", "0.50", "0.75", "1.00"]),
        (0.5470, 0.5530, ["0.5470", "0.5485", "0.5500", "0.5515", "0.5530"]),
        (0.54999, 0.55001, ["0.54999", "0.55000", "0.55001"]),
        (0.55, 0.55, ["0.55, everywhere alike"]),
    ],
)
def test_ticks_of_a_bar_are_told_apart(low, high, labels):
    ticks, shown = bar_ticks(low, high)
    assert shown == labels
    assert len(ticks) == len(labels)
    assert low <= min(ticks) and max(ticks) <= high
