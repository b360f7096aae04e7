// One row for each particle of the shown micrograph: sortable, with the same selection as the micrograph.

import { activeDetail, on, state } from "./state.js";
import { byId, h, put } from "./dom.js";
import { currentParticles, exclusionOf, standingOf } from "./particles.js";
import { cell } from "./format.js";
import { hint } from "./hints.js";
import { scrolled } from "./result.js";
import { select } from "./workspace.js";
import { t } from "./language.js";

const PAGE = 50; // rows
const FEW = ["class", "shape", "diameter", "area", "feret_max", "aspect_ratio", "circularity", "confidence", "exclusion"];
const NOT_SHOWN = ["image", "particle", "nm_per_px", "origin"]; // said elsewhere

let sort = { by: "number", down: false };
let page = 0;
let all = false;
let onlyCounted = false;
let scheduled = false;

/** Keep the table up to date. */
export function startTable() {
  put(byId("table-options"),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "only-counted", onchange: (event) => { onlyCounted = event.target.checked; page = 0; draw(); } }), t("table.only-counted")),
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "all-columns", onchange: (event) => { all = event.target.checked; draw(); } }), t("table.all-columns")));
  on("active", () => { page = 0; });
  on("detail edits statistics selection brush active", schedule);
  on("row", goToRow);
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  // After the micrograph, which is looked at.
  setTimeout(() => { scheduled = false; draw(); }, 60);
}

function columns() {
  const unit = activeDetail()?.scale?.used ? "nm" : "px";
  const fitting = state.about.columns.filter((each) => (!each.unit || /^°/.test(each.unit) || each.unit.startsWith(unit)) && !NOT_SHOWN.includes(each.quantity));
  const chosen = all ? fitting : FEW.map((quantity) => fitting.find((each) => each.quantity === quantity)).filter(Boolean);
  // A column of nothing says nothing, nor does the name of the only class.
  const outlines = activeDetail()?.outlines ?? [];
  const classes = new Set(outlines.map((each) => each.label));
  return chosen.filter((column) => column.name !== "class" || classes.size > 1).filter((column) => column.name === "exclusion" || outlines.some((each) => !["", null, undefined].includes(valueOf(each, column))));
}

function valueOf(particle, column) {
  if (column.name === "exclusion") return particle.removed ? t("particle.removed") : exclusionOf(particle.number) ?? "";
  if (column.name === "class") return particle.label;
  if (column.name === "shape") return particle.shape;
  return particle.values[column.name];
}

function rows() {
  let found = currentParticles();
  if (state.brush) found = found.filter((each) => standingOf(each) === "in" && state.brush.has(state.active, each.number));
  if (onlyCounted) found = found.filter((each) => standingOf(each) === "in");
  const column = state.about.columns.find((each) => each.name === sort.by);
  const key = sort.by === "number" ? (each) => each.number : sort.by === "origin" ? (each) => each.origin : (each) => valueOf(each, column);
  const direction = sort.down ? -1 : 1;
  return found.sort((one, other) => {
    const [a, b] = [key(one), key(other)];
    const [noA, noB] = [a === null || a === undefined || a === "", b === null || b === undefined || b === ""];
    // What has no value stands last, whichever way is sorted.
    if (noA || noB) return noA === noB ? one.number - other.number : noA ? 1 : -1;
    const by = typeof a === "string" ? a.localeCompare(String(b)) : a - b;
    return by * direction || one.number - other.number;
  });
}

function draw() {
  const body = byId("particles-body");
  const detail = activeDetail();
  if (!detail) return put(body);
  const found = rows();
  const pages = Math.max(Math.ceil(found.length / PAGE), 1);
  page = Math.min(page, pages - 1);
  byId("particles-heading").textContent = state.brush ? t("table.picked", { n: found.length }) : t("table.heading", { n: found.length, name: detail.name });
  const shown = columns();
  const focus = body.contains(document.activeElement) ? document.activeElement.id : null;
  const place = body.querySelector(".scroll")?.scrollLeft ?? 0;
  const heads = [headOf("number", t("table.number"), "", true), ...shown.map((column) => headOf(column.name, column.unit ? `${column.heading} (${column.unit})` : column.heading, column.meaning, column.kind === "number" || column.kind === "whole")), headOf("origin", t("table.origin"), t("table.origin.hint"), false)];
  const table = h("table", { id: "particle-table" },
    h("caption", { class: "unseen" }, t("table.caption")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, h("span", { class: "unseen" }, t("table.select"))), heads)),
    h("tbody", {}, found.slice(page * PAGE, (page + 1) * PAGE).map((each) => rowOf(each, shown))));
  put(body, scrolled(table, t("table.caption")), pages > 1 ? pager(pages, found.length) : null, found.length ? null : h("p", { class: "soft" }, t("table.empty")));
  body.querySelector(".scroll").scrollLeft = place;
  if (focus) byId(focus)?.focus({ preventScroll: true });
}

function headOf(name, text, meaning, isNumber) {
  const sorted = sort.by === name;
  return h("th", { scope: "col", class: isNumber ? "figure" : null, "aria-sort": sorted ? (sort.down ? "descending" : "ascending") : null },
    h("button", { type: "button", class: "sort", id: `sort-${name}`, onclick: () => { sort = { by: name, down: sorted && !sort.down }; page = 0; draw(); } },
      text, h("span", { class: "arrow", "aria-hidden": "true" }, sorted ? (sort.down ? "▼" : "▲") : "")),
    hint(`column.${name}`, meaning));
}

function rowOf(particle, shown) {
  const { number } = particle;
  const selected = state.selection.has(number);
  const standing = standingOf(particle);
  return h("tr", { class: `${standing}${selected ? " selected" : ""}`, data: { row: number }, onclick: (event) => event.target.closest("input, button, label") || choose(number, event.shiftKey || event.ctrlKey || event.metaKey) },
    h("td", {}, h("input", { type: "checkbox", id: `row-${number}`, checked: selected, "aria-label": t("table.select.of", { number }), onchange: () => choose(number, true) })),
    h("th", { scope: "row", class: "figure" }, String(number)),
    shown.map((column) => h("td", { class: column.kind === "number" || column.kind === "whole" ? "figure" : null, data: { column: column.name } }, textOf(valueOf(particle, column), column))),
    h("td", {}, particle.removed ? "" : particle.origin === "model" ? "" : t(`origin.${particle.origin}`)));
}

function textOf(value, column) {
  if (column.kind === "flag") return value ? t("yes") : "";
  return cell(value, column);
}

function choose(number, keep) {
  const selection = keep ? new Set(state.selection) : new Set();
  if (keep && selection.has(number)) selection.delete(number);
  else selection.add(number);
  select(selection, { reveal: true });
}

function pager(pages, count) {
  const turn = (by) => { page += by; draw(); };
  return h("nav", { class: "row pager", "aria-label": t("table.pages") },
    h("button", { type: "button", class: "small", id: "page-before", disabled: page === 0, onclick: () => turn(-1) }, t("table.before")),
    h("span", {}, t("table.page", { first: page * PAGE + 1, last: Math.min((page + 1) * PAGE, count), n: count })),
    h("button", { type: "button", class: "small", id: "page-after", disabled: page >= pages - 1, onclick: () => turn(1) }, t("table.after")));
}

/** Bring the row of the selected particle into sight. */
function goToRow() {
  const [number] = state.selection;
  if (number === undefined) return;
  let at = rows().findIndex((each) => each.number === number);
  if (at < 0 && (onlyCounted || state.brush)) {
    onlyCounted = byId("only-counted").checked = false;
    at = currentParticles().length ? rows().findIndex((each) => each.number === number) : -1;
  }
  if (at < 0) return;
  page = Math.floor(at / PAGE);
  draw();
  const row = byId("particles-body").querySelector(`[data-row="${number}"]`);
  row?.scrollIntoView({ block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  byId(`row-${number}`)?.focus({ preventScroll: true });
}
