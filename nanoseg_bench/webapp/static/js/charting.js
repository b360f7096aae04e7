// The charts of the result, and what they pick out of the micrograph and the table.

import { activate } from "./uploads.js";
import { announce } from "./messages.js";
import { byId, h, put } from "./dom.js";
import { changed, on, state } from "./state.js";
import { currentParticles, groupNames, standingOf } from "./particles.js";
import { HistogramFigure, ScatterFigure } from "./charts.js";
import { length } from "./format.js";
import { readDecimal } from "./decimals.js";
import { select } from "./workspace.js";
import { t } from "./language.js";

const SCATTERS = ["circularity_area"]; // of those that the server tells

const figures = new Map(); // name of the numbers -> figure

/** Keep charts and what they pick out up to date. */
export function startCharts() {
  for (const [key, id] of [["histogram", "sizes"], ["aspect_ratios", "aspect-ratios"]]) {
    const figure = new HistogramFigure(`chart-${id}`, `charts.${id.replace("-", "_")}`, ({ x }) => brushColumns(key, x[0], x[1]));
    figures.set(key, figure);
    figure.extra.append(rangeForm(key, id));
  }
  for (const key of SCATTERS) {
    const id = `chart-${key.replaceAll("_", "-")}`;
    figures.set(key, new ScatterFigure(id, `charts.${key}`, ({ x, y }, figure) => brushPoints(key, x, y, figure), show));
  }
  byId("brush-clear").addEventListener("click", clear);
  on("statistics", draw);
  on("selection", drawPoints);
  on("brush active", tell);
}

/** The same by keyboard as dragging over the columns: two numbers. */
function rangeForm(key, id) {
  const field = (end) => h("input", { id: `${id}-${end}`, type: "text", inputmode: "decimal", "aria-label": t(`brush.${end}.label`), autocomplete: "off" });
  return h("form", { class: "row range", onsubmit: (event) => {
    event.preventDefault();
    const [low, high] = ["from", "to"].map((end) => readDecimal(byId(`${id}-${end}`).value));
    if (high > low) brushColumns(key, low, high);
  } }, h("span", {}, t("brush.from")), field("from"), h("span", {}, t("brush.to")), field("to"), h("button", { type: "submit", class: "small" }, t("brush.show")));
}

function draw() {
  const statistics = state.statistics;
  const body = byId("charts-body");
  byId("charts").hidden = !statistics?.count;
  if (!statistics?.count) return;
  const columns = ["histogram", "aspect_ratios"].filter((key) => statistics[key] && statistics[key].edges.length > 1);
  const points = SCATTERS.filter((key) => statistics.scatter[key]?.points.length);
  const order = [columns[0], ...points, ...columns.slice(1)].filter(Boolean);
  const elements = order.map((key) => figures.get(key).element);
  if (elements.some((each, i) => body.children[i] !== each) || body.children.length !== elements.length) put(body, elements);
  for (const key of columns) figures.get(key).show(statistics[key]);
  drawPoints();
}

function drawPoints() {
  const statistics = state.statistics;
  if (!statistics?.count) return;
  for (const key of SCATTERS) {
    const found = statistics.scatter[key];
    if (!found?.points.length) continue;
    figures.get(key).show({
      points: found.points, x: titleOf(found.x, statistics.unit), y: titleOf(found.y, statistics.unit), groups: groupNames(),
      marked: (point) => point.micrograph === state.active && state.selection.has(point.number),
    });
  }
}

function titleOf(quantity, unit) {
  const column = state.about.columns.find((each) => each.quantity === quantity && (!each.unit || each.unit.startsWith(unit)));
  return column.unit ? `${column.heading} (${column.unit})` : column.heading;
}

/** Whole columns are picked out: those whose middle lies between, or else the one that holds the lower value. */
function brushColumns(key, low, high) {
  const { edges, middles, particles, unit } = state.statistics[key];
  let chosen = middles.flatMap((middle, i) => (middle >= low && middle <= high ? [i] : []));
  if (!chosen.length) chosen = middles.flatMap((_, i) => (edges[i] <= low && low < edges[i + 1] ? [i] : []));
  if (!chosen.length) return announce(t("brush.told", { what: t("brush.range", { low: length(low), high: length(high), unit }), particles: t("count.particles", { n: 0 }) }));
  const [from, to] = [edges[chosen[0]], edges[chosen.at(-1) + 1]];
  const figure = figures.get(key);
  setBrush(t("brush.range", { low: length(from), high: length(to), unit }), chosen.flatMap((i) => particles[i]), figure);
  figure.mark(from, to);
  const id = figure.element.id.replace("chart-", "");
  byId(`${id}-from`).value = length(from);
  byId(`${id}-to`).value = length(to);
}

function brushPoints(key, [x0, x1], [y0, y1], figure) {
  const inside = state.statistics.scatter[key].points.filter((each) => each.x >= x0 && each.x <= x1 && each.y >= y0 && each.y <= y1);
  setBrush(t("brush.points"), inside.map((each) => [each.micrograph, each.number]), figure);
}

function setBrush(text, particles, figure) {
  for (const each of figures.values()) if (each !== figure) each.clearBrush();
  const members = new Set(particles.map(([micrograph, number]) => `${micrograph}:${number}`));
  state.brush = { text, has: (micrograph, number) => members.has(`${micrograph}:${number}`) };
  changed("brush");
}

function clear() {
  state.brush = null;
  changed("brush");
  byId("charts-heading").focus?.();
}

function tell() {
  const button = byId("brush-clear");
  button.hidden = !state.brush;
  const place = byId("brush-text");
  if (!state.brush) {
    for (const each of figures.values()) each.clearBrush();
    place.textContent = t("charts.hint");
    return;
  }
  const number = currentParticles().filter((each) => standingOf(each) === "in" && state.brush.has(state.active, each.number)).length;
  place.textContent = t("brush.told", { what: state.brush.text, particles: t("count.particles", { n: number }) });
  announce(place.textContent);
}

function show({ micrograph, number }) {
  activate(micrograph);
  select([number], { reveal: true });
  changed("row");
}
