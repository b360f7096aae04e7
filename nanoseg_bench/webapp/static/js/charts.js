// Charts by Chart.js. All their numbers come from the server; dragging over a chart picks out the particles under it.

import { h, put } from "./dom.js";
import { hinted } from "./hints.js";
import { length } from "./format.js";
import { t } from "./language.js";
import { GROUP_COLOURS } from "./particles.js";

const Chart = window.Chart;
const DRAG_PX = 5;

/** A colour of the style sheet, as the theme has it now. */
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

const groupColour = (position) => colour(`group-${Math.max(position, 0) % GROUP_COLOURS}`);

function faded(value, share) {
  const number = parseInt(value.slice(1), 16);
  return `rgba(${number >> 16}, ${(number >> 8) & 255}, ${number & 255}, ${share})`;
}

class Figure {
  constructor(id, key, { chosen = null } = {}) {
    this.title = t(key);
    this.canvas = h("canvas", { role: "img" });
    this.box = h("div", { class: "brush", hidden: true });
    this.plot = h("div", { class: chosen ? "plot brushable" : "plot" }, this.canvas, this.box);
    this.table = h("details", { class: "numbers", hidden: true });
    this.extra = h("div", { class: "chart-extra" });
    this.legend = h("div", { class: "chart-legend", "aria-hidden": "true" });
    this.element = h("figure", { class: "chart", id },
      h("figcaption", {}, hinted(key)), this.legend, this.plot, this.extra, this.table);
    this.chart = null;
    this.last = null;
    if (chosen) this.#brush(chosen);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.last && this.show(this.last));
  }

  /** Draw anew, or change the numbers of what is drawn. */
  draw(config, description) {
    this.canvas.setAttribute("aria-label", description);
    const shared = {
      animation: false, responsive: true, maintainAspectRatio: false, normalized: true,
      plugins: { legend: { display: false }, tooltip: { animation: false, displayColors: false, ...config.tooltip } },
      font: { family: "inherit" },
    };
    const options = { ...shared, ...config.options };
    if (this.chart) {
      this.chart.data = config.data;
      this.chart.options = options;
      this.chart.update("none");
    } else this.chart = new Chart(this.canvas, { type: config.type, data: config.data, options, plugins: config.plugins ?? [] });
  }

  clearBrush() {
    this.box.hidden = true;
  }

  tell(heads, rows) {
    this.table.hidden = false;
    put(this.table, h("summary", {}, t("charts.numbers")), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${t("charts.numbers")}: ${this.title}` },
      h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => h("th", { scope: "col" }, head)))),
        h("tbody", {}, rows.map((row) => h("tr", {}, row.map((cell) => h("td", { class: "figure" }, cell))))))));
  }

  names(groups) {
    const shown = groups.flatMap(({ name, count }, i) => (count ? [h("span", { class: `key g${i % GROUP_COLOURS}` }, name)] : []));
    put(this.legend, shown.length > 1 ? shown : []);
  }

  #brush(chosen) {
    let from = null;
    const place = (event) => {
      const { left, top } = this.plot.getBoundingClientRect();
      return [event.clientX - left, event.clientY - top];
    };
    const span = (event) => {
      const { left, right, top, bottom } = this.chart.chartArea;
      const within = (value, low, high) => Math.min(Math.max(value, low), high);
      const [x, y] = place(event);
      const xs = [from[0], x].map((each) => within(each, left, right)).sort((one, other) => one - other);
      const ys = this.tall ? [top, bottom] : [from[1], y].map((each) => within(each, top, bottom)).sort((one, other) => one - other);
      return { xs, ys };
    };
    this.plot.addEventListener("pointerdown", (event) => {
      if (event.button || !this.chart) return;
      from = place(event);
      this.plot.setPointerCapture(event.pointerId);
    });
    this.plot.addEventListener("pointermove", (event) => {
      if (!from || Math.abs(event.clientX - this.plot.getBoundingClientRect().left - from[0]) < DRAG_PX) return;
      const { xs, ys } = span(event);
      this.box.hidden = false;
      this.box.style.left = `${xs[0]}px`;
      this.box.style.width = `${xs[1] - xs[0]}px`;
      this.box.style.top = `${ys[0]}px`;
      this.box.style.height = `${ys[1] - ys[0]}px`;
    });
    this.plot.addEventListener("pointerup", (event) => {
      if (!from) return;
      const { xs, ys } = span(event);
      const dragged = xs[1] - xs[0] >= DRAG_PX;
      const { x, y } = this.chart.scales;
      if (dragged) {
        chosen({
          x: xs.map((each) => x.getValueForPixel(each)),
          y: ys.map((each) => y.getValueForPixel(each)).sort((one, other) => one - other),
        }, this);
      } else this.pressed?.(event);
      from = null;
    });
    this.plot.addEventListener("pointercancel", () => { from = null; this.clearBrush(); });
  }
}

function axis(title, { grid = true, position, ...more } = {}) {
  return {
    position,
    title: { display: Boolean(title), text: title, color: colour("soft"), font: { size: 12 } },
    ticks: { color: colour("soft"), maxTicksLimit: 6, font: { size: 11 }, maxRotation: 0, ...more.ticks },
    grid: { display: grid, color: colour("grid"), drawTicks: false },
    border: { color: colour("line") },
    ...Object.fromEntries(Object.entries(more).filter(([name]) => name !== "ticks")),
  };
}

const inUnit = (text, unit) => (unit ? `${text} (${unit})` : text);

/** Numbers of particles by a quantity, by group; for sizes also the share that lies below, and the fitted distribution. */
export class HistogramFigure extends Figure {
  tall = true;

  constructor(id, key, chosen) {
    super(id, key, { chosen });
    this.key = key;
  }

  show(histogram) {
    this.last = histogram;
    const { edges, middles, logarithmic, groups, cumulative, unit, heading, fit } = histogram;
    const title = inUnit(heading, unit);
    const across = [logarithmic ? t("charts.logarithmic", { title }) : title, histogram.not_shown].filter(Boolean).join("; ");
    const counts = middles.map((_, i) => groups.reduce((sum, group) => sum + group.counts[i], 0));
    const datasets = groups.map((group, i) => ({
      type: "bar", label: group.name, stack: "all", order: 3,
      data: middles.map((x, at) => ({ x, y: group.counts[at] })),
      backgroundColor: faded(groupColour(i), 0.8), hoverBackgroundColor: groupColour(i),
      borderRadius: 2, barPercentage: 0.94, categoryPercentage: 1,
    }));
    datasets.push({
      type: "line", label: t("charts.below"), yAxisID: "share", order: 1, data: edges.map((x, i) => ({ x, y: 100 * cumulative[i] })),
      borderColor: colour("ink"), borderWidth: 1.5, pointRadius: 0, pointHitRadius: 5,
    });
    if (fit) {
      datasets.push({
        type: "line", label: t("charts.fit", { name: fit.name }), order: 2, tension: 0.4, data: middles.map((x, i) => ({ x, y: fit.counts[i] })),
        borderColor: colour("second"), borderWidth: 1.5, borderDash: [5, 3], pointRadius: 0, pointHitRadius: 5,
      });
    }
    const isBar = (item) => item.dataset.type === "bar";
    this.draw({
      type: "bar",
      data: { datasets },
      tooltip: {
        filter: (item) => !isBar(item) || item.parsed.y > 0,
        callbacks: {
          title: ([item]) => (item && isBar(item) ? inUnit(`${length(edges[item.dataIndex])} – ${length(edges[item.dataIndex + 1])}`, unit) : item ? `${length(item.parsed.x)} ${unit}` : ""),
          label: (item) => (isBar(item) ? `${groups.length > 1 ? `${item.dataset.label}: ` : ""}${t("count.particles", { n: item.parsed.y })}` : item.dataset.yAxisID === "share" ? t("charts.share", { share: item.parsed.y.toFixed(0) }) : item.dataset.label),
        },
      },
      options: {
        scales: {
          x: axis(across, { type: logarithmic ? "logarithmic" : "linear", grid: false, min: edges[0], max: edges.at(-1), offset: false, ticks: { callback: (value) => String(Number(value.toPrecision(4))) } }),
          y: axis(t("charts.number"), { beginAtZero: true, stacked: true, ticks: { precision: 0 } }),
          share: axis(t("charts.below.axis"), { position: "right", grid: false, min: 0, max: 100, ticks: { callback: (value) => `${value} %`, stepSize: 50 } }),
        },
      },
    }, t("charts.sizes.text", { n: counts.reduce((sum, each) => sum + each, 0), low: length(edges[0]), high: length(edges.at(-1)), unit }));
    this.names(groups.map(({ name, counts: each }) => ({ name, count: each.reduce((sum, one) => sum + one, 0) })));
    this.tell([title, t("charts.number"), t("charts.below")], middles.map((_, i) => [
      `${length(edges[i])} – ${length(edges[i + 1])}`, String(counts[i]), `${(100 * cumulative[i + 1]).toFixed(1)} %`]));
  }

  /** Show the columns from `low` to `high` as picked out. */
  mark(low, high) {
    const { x } = this.chart.scales;
    const { top, bottom } = this.chart.chartArea;
    const [left, right] = [x.getPixelForValue(low), x.getPixelForValue(high)];
    Object.assign(this.box.style, { left: `${left}px`, width: `${right - left}px`, top: `${top}px`, height: `${bottom - top}px` });
    this.box.hidden = false;
  }
}

/** One point for each particle. */
export class ScatterFigure extends Figure {
  /** @param pressed is called with the particle {micrograph, number} of a point that was clicked. */
  constructor(id, key, chosen, pressed) {
    super(id, key, { chosen });
    this.pressed = (event) => {
      const [hit] = this.chart.getElementsAtEventForMode(event, "nearest", { intersect: true }, false);
      if (hit && this.points[hit.datasetIndex]?.[hit.index]) pressed(this.points[hit.datasetIndex][hit.index]);
    };
  }

  show(what) {
    this.last = what;
    const { points, x, y, groups, marked } = what;
    this.points = groups.map((name) => points.filter((point) => (point.group ?? groups[0]) === name));
    const datasets = this.points.map((each, i) => ({
      label: groups[i], data: each.map((point) => ({ x: point.x, y: point.y })), parsing: false,
      backgroundColor: faded(groupColour(i), 0.55), borderColor: faded(groupColour(i), 0.9), borderWidth: 0.5,
      pointRadius: each.length > 800 ? 1.8 : 2.6, pointHoverRadius: 5,
    }));
    datasets.push({
      label: "", data: points.filter(marked).map((point) => ({ x: point.x, y: point.y })), parsing: false,
      backgroundColor: "transparent", borderColor: colour("ink"), borderWidth: 2, pointRadius: 5, pointHitRadius: 0,
    });
    const values = points.map((point) => point.x).filter((value) => value > 0);
    const wide = values.length > 1 && Math.max(...values) > 30 * Math.min(...values);
    this.draw({
      type: "scatter",
      data: { datasets },
      tooltip: { callbacks: { label: (item) => {
        const point = this.points[item.datasetIndex]?.[item.dataIndex];
        return point ? [t("charts.point", { number: point.number }), `${x}: ${length(point.x)}`, `${y}: ${point.y.toFixed(3)}`] : "";
      } } },
      options: { scales: { x: axis(x, { type: wide ? "logarithmic" : "linear" }), y: axis(y) } },
    }, t("charts.scatter.text", { n: points.length, x, y }));
    this.names(groups.map((name, i) => ({ name, count: this.points[i].length })));
  }
}

/** Count and median against the confidence, with a line where it stands now; a click sets it. */
export class CurveFigure extends Figure {
  constructor(set) {
    super("chart-confidence", "charts.confidence", {});
    this.plot.classList.add("low");
    this.plot.addEventListener("click", (event) => {
      const { left } = this.plot.getBoundingClientRect();
      if (this.chart) set(this.chart.scales.x.getValueForPixel(event.clientX - left));
    });
  }

  show(what) {
    this.last = what;
    const { unit, confidence, least } = what;
    // Below the first step there is no further outline.
    const curve = what.curve[0].confidence > least ? [{ ...what.curve[0], confidence: least }, ...what.curve] : what.curve;
    this.at = confidence;
    const counts = curve.map((row) => ({ x: row.confidence, y: row.count }));
    const medians = curve.filter((row) => row.d50 !== null).map((row) => ({ x: row.confidence, y: row.d50 }));
    const median = inUnit("D50", unit);
    this.draw({
      type: "line",
      data: { datasets: [
        { label: t("charts.number"), data: counts, borderColor: colour("accent"), backgroundColor: faded(colour("accent"), 0.14), fill: true, borderWidth: 2, pointRadius: 0, pointHitRadius: 8, yAxisID: "y" },
        { label: median, data: medians, borderColor: colour("second"), borderWidth: 2, borderDash: [5, 3], pointRadius: 0, pointHitRadius: 8, yAxisID: "median" },
      ] },
      tooltip: { callbacks: { title: (items) => t("charts.from", { confidence: items[0].parsed.x.toFixed(2) }), label: (item) => `${item.dataset.label}: ${item.datasetIndex ? length(item.parsed.y) : item.parsed.y}` } },
      plugins: [{ id: "now", afterDatasetsDraw: (chart) => this.#drawNow(chart) }],
      options: {
        interaction: { mode: "index", intersect: false },
        scales: {
          x: axis(t("filters.confidence"), { type: "linear", min: least, max: 1, grid: false }),
          y: axis(t("charts.number"), { beginAtZero: true, ticks: { precision: 0, maxTicksLimit: 4 } }),
          median: axis(median, { position: "right", beginAtZero: true, grid: false, ticks: { maxTicksLimit: 4 } }),
        },
      },
    }, t("charts.confidence.text", { n: curve.length }));
    put(this.legend, h("span", { class: "key count" }, t("charts.number")), h("span", { class: "key median" }, median));
    this.tell([t("filters.confidence"), t("charts.number"), median], curve.map((row) => [row.confidence.toFixed(2), String(row.count), length(row.d50)]));
  }

  /** Move the line without new numbers, while the slider is dragged. */
  move(confidence) {
    this.at = confidence;
    if (this.last) this.last.confidence = confidence;
    this.chart?.draw();
  }

  #drawNow(chart) {
    if (this.at === null || this.at === undefined) return;
    const { ctx, chartArea: { top, bottom } } = chart;
    const x = chart.scales.x.getPixelForValue(this.at);
    ctx.save();
    ctx.strokeStyle = colour("ink");
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    ctx.moveTo(x, top - 4);
    ctx.lineTo(x, bottom);
    ctx.stroke();
    ctx.fillStyle = colour("ink");
    ctx.beginPath();
    ctx.arc(x, top - 4, 3.5, 0, 7);
    ctx.fill();
    ctx.restore();
  }
}
