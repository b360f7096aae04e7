// The details panel: which particles count. Nothing is looked for again; the numbers follow while the slider moves.

import { on, state } from "./state.js";
import { byId, debounced, h, put } from "./dom.js";
import { ownFilters, setFilters } from "./sample.js";
import { CurveFigure } from "./charts.js";
import { announce } from "./messages.js";
import { foundGroupNames, groupNames, UNNAMED } from "./particles.js";
import { hinted } from "./hints.js";
import { readDecimal } from "./decimals.js";
import { t } from "./language.js";

const TYPED = 400; // ms after the last digit

let slider;
let curve;
let groups = [];
let drawnFor = "";

/** Build the panel. */
export function startFilters() {
  byId("filters-reset").addEventListener("click", () => {
    setFilters(ownFilters());
    drawnFor = "";
    draw();
    announce(t("filters.reset.done"));
  });
  on("statistics active detail about", draw);
  on("filters", follow);
}

function lowest() {
  const scores = [...state.details.values()].flatMap((detail) => detail.outlines.map((each) => each.confidence)).filter((each) => each !== null);
  const least = scores.length ? scores.reduce((one, other) => Math.min(one, other)) : 0;
  return Math.max(0, Math.floor(least * 20) / 20);
}

function draw() {
  if (!state.filters) return;
  const unit = state.statistics?.unit ?? "px";
  groups = foundGroupNames();
  const content = JSON.stringify([unit, groups, state.filters.confidence === null]);
  if (content !== drawnFor) {
    drawnFor = content;
    build(unit);
  }
  showCurve(unit);
  follow();
}

function build(unit) {
  const filters = state.filters;
  const chosen = chosenGroups();
  curve ??= new CurveFigure((confidence) => setConfidence(confidence));
  slider = h("input", { type: "range", id: "confidence", min: 0, max: 1, step: 0.01, "aria-describedby": "confidence-help", oninput: () => setConfidence(Number(slider.value)) });
  const confidence = filters.confidence === null ? [] : [
    h("div", { class: "slider-head" },
      h("label", { for: "confidence" }, hinted("filters.confidence")),
      h("output", { id: "confidence-value", for: "confidence" })),
    slider,
    h("p", { class: "soft", id: "confidence-help" }, t("filters.confidence.help", { from: state.about.model.confidence.toFixed(2) })),
    curve.element,
  ];
  put(byId("filters-body"), confidence,
    h("div", { class: "pair" }, sizeField("min_diameter", unit), sizeField("max_diameter", unit)),
    h("div", { class: "field" },
      h("label", { for: "border" }, hinted("filters.border")),
      h("select", { id: "border", onchange: (event) => setFilters({ border: event.target.value }) },
        state.about.borders.map((name) => h("option", { value: name, selected: name === filters.border }, t(`filters.border.${name}`))))),
    groups.length > 1 || (groups.length && chosen) ? h("fieldset", { class: "field" }, h("legend", {}, hinted(state.statistics?.groups_from === "class" ? "filters.classes" : "filters.shapes")),
      h("div", { class: "checks" }, groups.map((name) => h("label", {}, h("input", { type: "checkbox", value: name, class: "group-filter", checked: !chosen || chosen.includes(name), onchange: chooseGroups }), name === UNNAMED ? t("filters.unnamed") : name)))) : null,
    h("label", { class: "check" }, h("input", { type: "checkbox", id: "keep-marks", checked: filters.keep_marks, onchange: (event) => setFilters({ keep_marks: event.target.checked }) }), h("span", {}, hinted("filters.marks"))));
}

function sizeField(name, ofSample) {
  const now = state.filters[name];
  // A limit in nm stays one where a micrograph without a scale is looked at; it does not apply there.
  const unit = now?.unit ?? ofSample;
  const typed = debounced(() => {
    const value = readDecimal(input.value);
    const wrong = input.value.trim() !== "" && !(value >= 0);
    input.setAttribute("aria-invalid", String(wrong));
    if (!wrong) setFilters({ [name]: input.value.trim() === "" ? null : { value, unit } });
  }, TYPED);
  const input = h("input", { id: name, type: "text", inputmode: "decimal", autocomplete: "off", value: now?.value ?? "", placeholder: t(`filters.${name}.none`), oninput: typed });
  return h("div", { class: "field" }, h("label", { for: name }, t(`filters.${name}`, { unit })), input);
}

/** The groups that count; null for all. As in report/review/filters.py, a choice among classes says nothing of shapes. */
function chosenGroups() {
  const chosen = state.filters.classes;
  const named = chosen?.filter((name) => name !== UNNAMED) ?? [];
  const known = groupNames();
  return named.length && !named.some((name) => known.includes(name)) ? null : chosen;
}

/** Groups that this image lacks have no box, and count in the others as before. */
function chooseGroups() {
  const boxes = new Map([...document.querySelectorAll(".group-filter")].map((box) => [box.value, box.checked]));
  const before = chosenGroups();
  const all = [...new Set([...groupNames(), UNNAMED, ...(before ?? [])])];
  const chosen = all.filter((name) => boxes.get(name) ?? (!before || before.includes(name)));
  setFilters({ classes: chosen.length === all.length ? null : chosen });
}

function setConfidence(value) {
  const { min, max } = slider;
  setFilters({ confidence: Math.round(Math.min(Math.max(value, Number(min)), Number(max)) * 100) / 100 });
}

/** Slider and line say what counts now. */
function follow() {
  const confidence = state.filters?.confidence;
  if (confidence === null || confidence === undefined || !slider) return;
  slider.min = Math.min(lowest(), confidence);
  slider.value = confidence;
  slider.style.setProperty("--share", `${(100 * (confidence - slider.min)) / Math.max(1 - slider.min, 0.01)}%`);
  byId("confidence-value").textContent = confidence.toFixed(2);
  curve.move(confidence);
}

function showCurve(unit) {
  const rows = state.statistics?.curve ?? [];
  if (!curve) return;
  curve.element.hidden = rows.length < 2;
  if (rows.length > 1) curve.show({ curve: rows, unit, confidence: state.filters.confidence, least: Math.min(lowest(), state.filters.confidence) });
}
