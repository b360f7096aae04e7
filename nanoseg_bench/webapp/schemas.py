"""What the page and the server say to each other: one model for each body. The OpenAPI description is made of these."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

ID_PATTERN = "^[0-9a-f]{32}$"

MicrographId = Annotated[str, Field(pattern=ID_PATTERN, description="32 hex digits.")]

Number = Annotated[float, Field(allow_inf_nan=False)]

Point = Annotated[list[Number], Field(min_length=2, max_length=2, description="x and y in pixels of the micrograph.")]

Ring = Annotated[list[Point], Field(min_length=3, max_length=20_000, description="Corners, not closed.")]

Polygon = Annotated[list[Ring], Field(min_length=1, max_length=1000, description="The exterior, then the holes.")]

MultiPolygon = Annotated[list[Polygon], Field(min_length=1, max_length=1000, description="The parts of one particle.")]

Line = Annotated[
    list[Number], Field(min_length=4, max_length=4, description="x0, y0, x1, y1 in pixels of the micrograph.")
]

ParticleNumber = Annotated[int, Field(ge=1, le=10_000_000)]

Label = Annotated[str, Field(min_length=1, max_length=100)]

Length = Annotated[str, Field(min_length=1, max_length=40, description="With its unit: `200 nm`, `0.5 µm`.")]

Status = Literal["queued", "running", "done", "failed", "cancelled"]

Origin = Literal["model", "changed", "drawn"]

Border = Literal["weight", "exclude", "keep"]

ExportFormat = Literal["word", "excel", "csv", "labelme", "coco", "png", "svg", "zip"]


class Question(BaseModel):
    """What is sent to the server; a field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """What comes from the server."""

    model_config = ConfigDict(extra="allow")


class Problem(Answer):
    """Why something was not done."""

    error: str = Field(description="A sentence for a person.")
    field: str | None = Field(default=None, description="Of the body, that is wrong.")
    revision: int | None = Field(default=None, description="The current one, where another window was faster.")


class ModelFacts(Answer):
    """The model that finds the particles."""

    title: str
    id: str
    weights_sha256: str | None
    confidence: float | None = Field(description="From which particles count; null for a model without confidences.")
    confidence_source: str
    classes: list[str]
    quality: list[str] = Field(description="What is known of how good it is, in sentences.")


class Limits(Answer):
    """What is taken."""

    file_bytes: int
    files: int = Field(description="In one request.")
    request_bytes: int
    pixels: int = Field(description="Of one micrograph.")
    queue: int = Field(description="Micrographs that wait.")


class ExportChoice(Answer):
    """A format of files to take away."""

    id: str
    heading: str
    suffix: str


class ColumnFacts(Answer):
    """A column of the table of particles."""

    name: str
    quantity: str
    heading: str
    unit: str
    digits: int
    kind: Literal["text", "whole", "number", "flag"]
    meaning: str


class About(Answer):
    """This server."""

    version: str
    csrf_token: str = Field(description="For the header X-CSRF-Token of everything that changes something.")
    model: ModelFacts | None = Field(description="Null until it is opened.")
    trouble: str | None = Field(default=None, description="Why nothing is analysed, where the model cannot be opened.")
    limits: Limits
    keep_days: float
    export_formats: list[ExportChoice]
    columns: list[ColumnFacts]
    borders: list[str]
    has_example: bool


class Summary(Answer):
    """A micrograph in the list."""

    id: MicrographId
    name: str = Field(description="As it was uploaded, with its folder.")
    status: Status
    position: int | None = Field(description="Among those that wait, from 1; 0 while it runs; null when it ended.")
    reason: str | None = Field(default=None, description="Why it failed, or what became of it.")
    width: int | None = None
    height: int | None = None
    particles: int | None = Field(default=None, description="That count, with the filters that apply by themselves.")
    unit: Literal["nm", "px"] | None = None
    d50: float | None = Field(default=None, description="Median diameter of the particles that count.")
    nm_per_px: float | None = Field(default=None, description="That sizes are in; null where they are in px.")
    scale_uncertainty: float | None = Field(
        default=None,
        description="Standard uncertainty of reading `nm_per_px`, as a part of it; null where it is not known.",
    )
    scale_sure: bool | None = Field(default=None, description="Whether the scale was found, or given, without doubt.")
    edited: int = Field(default=0, description="Outlines that a person changed, added or deleted.")
    created: str = Field(description="UTC, ISO 8601.")


class Micrographs(Answer):
    """All of the session, in the order of upload."""

    micrographs: list[Summary]


class Refused(Answer):
    """A file that was not taken."""

    name: str
    error: str


class Uploaded(Answer):
    """What became of the files of a request."""

    micrographs: list[Summary]
    refused: list[Refused]


class OtherBar(Answer):
    """A further scale bar."""

    bar: list[float]
    text: str
    value_nm: float | None
    confidence: float


class ScaleFacts(Answer):
    """The scale of a micrograph: what was found, and what is used."""

    nm_per_px: float | None
    used: float | None = Field(description="What sizes are in; null where they are in px.")
    source: str
    sentence: str
    confidence: float
    is_sure: bool
    left_in_px: bool = Field(description="Whether a person chose px.")
    bar: list[float] | None
    text: str
    value_nm: float | None
    others: list[OtherBar]


class Particle(Answer):
    """An outline that is kept, also below the confidence."""

    number: int
    origin: Origin
    label: str | None
    shape: str | None
    confidence: float | None
    outline: list[list[list[list[float]]]]
    on_mark: bool
    removed: bool
    values: dict[str, float | int | str | bool | None] = Field(description="The row of the table.")


class Drawn(Question):
    """An outline that a person drew, merged or split."""

    model_config = ConfigDict(extra="forbid", strict=True, populate_by_name=True)

    outline: MultiPolygon
    label: Label | None = None
    made_from: list[ParticleNumber] = Field(
        default_factory=list, alias="from", max_length=10_000, description="What it was merged or split from."
    )


class Edits(Question):
    """All that differs from the outlines of the model."""

    removed: list[ParticleNumber] = Field(default_factory=list, max_length=100_000)
    counted: list[ParticleNumber] = Field(
        default_factory=list,
        max_length=100_000,
        description="They count although they lie on a mark or touch the border.",
    )
    changed: dict[ParticleNumber, MultiPolygon] = Field(default_factory=dict)
    labels: dict[ParticleNumber, Label] = Field(default_factory=dict)
    drawn: list[Drawn] = Field(default_factory=list, max_length=100_000)


class Detail(Summary):
    """A micrograph with all that was found in it; empty until it is done."""

    bottom: int | None = Field(default=None, description="Row below the field, where an information bar begins.")
    warnings: list[str] = Field(default_factory=list)
    scale: ScaleFacts | None = None
    outlines: list[Particle] = Field(default_factory=list)
    edits: Edits = Field(default_factory=Edits)
    revision: int = 0


class EditsChange(Question):
    """New edits in place of those of a revision."""

    revision: Annotated[int, Field(ge=0)]
    edits: Edits


class ScaleChange(Question):
    """The scale as a person sees it: one of these."""

    revision: Annotated[int, Field(ge=0)]
    nm_per_px: Annotated[float, Field(gt=0, le=1e6, allow_inf_nan=False)] | None = None
    scale_uncertainty: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Of `nm_per_px`, where it is another micrograph's: as its summary has it."
    )
    line: Line | None = Field(default=None, description="Along what `length` says.")
    screen_px: Annotated[float, Field(ge=0, le=1e4)] = Field(
        default=0.0, description="Pixels of the micrograph in one of the screen on which a person drew `line`."
    )
    length: Length | None = None
    bar_length: Length | None = Field(
        default=None, description="Of the bar that is marked: the `line` of before, or else what was found."
    )
    accept: bool = Field(default=False, description="Use the proposal.")
    pixels: bool = Field(default=False, description="Measure in px.")
    reset: bool = Field(default=False, description="As it was found.")

    @model_validator(mode="after")
    def _one(self) -> "ScaleChange":
        if (self.line is None) != (self.length is None):
            raise ValueError("a line and its length go together")
        given = [self.nm_per_px, self.line, self.bar_length, self.accept or None, self.pixels or None]
        if len([each for each in [*given, self.reset or None] if each is not None]) != 1:
            raise ValueError("give one of nm_per_px, line with length, bar_length, accept, pixels, reset")
        return self


class Diameter(Question):
    """A limit of the size."""

    value: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
    unit: Literal["nm", "px"]


class Filters(Question):
    """Which particles count."""

    confidence: Annotated[float, Field(ge=0, le=1)] | None = Field(
        default=None, description="Null for the model's own."
    )
    min_diameter: Diameter | None = None
    max_diameter: Diameter | None = None
    border: Border = "weight"
    classes: list[Label] | None = Field(default=None, max_length=1000, description="Names of groups; null for all.")
    keep_marks: bool = False


Chosen = Annotated[list[MicrographId], Field(min_length=1, max_length=10_000)]


class StatisticsQuestion(Question):
    """A sample of micrographs that are done."""

    micrographs: Chosen
    filters: Filters = Filters()
    intervals: bool = Field(default=False, description="With 95 % intervals, which take longer.")


class Estimate(Answer):
    """A number with its 95 % interval; null where it cannot be told, or was not asked for."""

    value: float | None
    lo: float | None
    hi: float | None


class NamedEstimate(Estimate):
    """A statistic of the diameters."""

    name: str = Field(description="`d50`, for example.")
    heading: str
    meaning: str
    unit: str


class Weighting(Answer):
    """The distribution of area, or of volume."""

    name: str
    estimates: list[NamedEstimate]


class Component(Answer):
    """What makes a number uncertain."""

    name: str
    standard_uncertainty: float | None
    basis: str


class Uncertainty(Answer):
    """Of the median diameter, as GUM adds it up."""

    statistic: str
    value: float | None
    unit: str
    combined: float | None
    expanded: float | None
    sentence: str = Field(description="What the components are of, and add up to.")
    unknown: list[str]
    components: list[Component]


class Quantity(Answer):
    """A size or shape of a group."""

    quantity: str
    heading: str
    unit: str
    count: int
    estimates: dict[str, Estimate]


class Group(Answer):
    """Particles of a class or shape; the first is all of them, without a colour."""

    name: str
    count: int
    colour: str | None = Field(default=None, description="Of the outlines.")
    chart_colour: str | None = Field(default=None, description="In charts.")
    quantities: list[Quantity]


class GroupCounts(Answer):
    """Of one group, in the bins of a histogram."""

    name: str
    counts: list[int]


class Fit(Answer):
    """The distribution that describes the sample better."""

    name: str
    centre: float
    width: float
    counts: list[float] = Field(description="That it expects in the bins.")


class HistogramFacts(Answer):
    """A histogram with its cumulative curve, and the particles in each bin as [micrograph, number]."""

    column: str
    heading: str
    unit: str
    edges: list[float]
    middles: list[float] = Field(description="Of the bins; of logarithmic ones by ratio.")
    logarithmic: bool = Field(description="Whether the bins are of equal ratio, as sizes that differ widely are shown.")
    groups: list[GroupCounts]
    cumulative: list[float]
    particles: list[list[tuple[str, int]]]
    not_shown: str = Field(description="A sentence on the particles beyond the edges; empty where there is none.")
    fit: Fit | None


class ScatterPoint(Answer):
    """A particle in a chart of two quantities."""

    micrograph: str
    number: int
    x: float
    y: float
    group: str | None


class Scatter(Answer):
    """Two quantities of each particle."""

    x: str
    y: str
    points: list[ScatterPoint]


class CurvePoint(Answer):
    """How many particles there are from a confidence on, and their median diameter."""

    confidence: float
    count: int
    d50: float | None


class LeftOut(Answer):
    """Outlines that do not count, for a reason."""

    reason: str
    meaning: str
    count: int


class Statistics(Answer):
    """Numbers of a sample, and what its charts are drawn from."""

    unit: Literal["nm", "px"]
    count: int
    images: int
    sentence: str
    filters: list[str] = Field(description="Which particles count, in sentences.")
    estimates: list[NamedEstimate]
    weightings: list[Weighting]
    weightings_note: str = Field(description="What a reader of them must know, in sentences; empty without particles.")
    uncertainty: Uncertainty | None
    groups: list[Group]
    groups_from: Literal["class", "shape"]
    histogram: HistogramFacts | None
    aspect_ratios: HistogramFacts | None
    scatter: dict[str, Scatter]
    curve: list[CurvePoint]
    left_out: list[LeftOut]
    warnings: list[str]
    exclusions: dict[str, dict[str, str]] = Field(
        description="Why a particle does not count, by micrograph and number; those that are not named count."
    )


class ExportQuestion(Question):
    """A file to take away."""

    micrographs: Chosen
    filters: Filters = Filters()
    format: ExportFormat
    operator: Annotated[str, Field(max_length=200)] = ""
    sample: Annotated[str, Field(max_length=200)] = ""


class MergeQuestion(Question):
    """Outlines that are one particle."""

    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]
    outlines: Annotated[list[MultiPolygon], Field(min_length=2, max_length=1000)]


class Merged(Answer):
    """The one outline."""

    outline: list[list[list[list[float]]]]


class SplitQuestion(Question):
    """An outline, and a line that cuts it."""

    width: Annotated[int, Field(ge=1, le=100_000)]
    height: Annotated[int, Field(ge=1, le=100_000)]
    outline: MultiPolygon
    line: Annotated[list[Point], Field(min_length=2, max_length=100)]


class SplitUp(Answer):
    """The pieces."""

    outlines: list[list[list[list[list[float]]]]]
