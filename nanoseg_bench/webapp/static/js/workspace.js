// The micrograph that is shown: outlines, tools, what is selected, undo and redo.

import * as api from "./api.js";
import * as edits from "./edits.js";
import { byId, h, icon, isTyping, put } from "./dom.js";
import { activeDetail, activeSummary, changed, on, state } from "./state.js";
import { announce, complain } from "./messages.js";
import { canRedo, canUndo, commit, currentEdits, isUnsaved, modelCount, redo, takeDetail, undo } from "./saving.js";
import { boxOfParticle, currentParticles, exclusionOf, groupNames, groupOf, GROUP_COLOURS, isNotPooled, isShown, standingOf, UNNAMED } from "./particles.js";
import { CornersTool, DrawTool, LineTool, SelectTool } from "./tools.js";
import { drawBar } from "./bar.js";
import { length, ratio } from "./format.js";
import { t } from "./language.js";
import { Viewer } from "./viewer.js";

let viewer;
let tools;
let particles = []; // as they are on the screen
let scheduled = false;

/** The viewer, for the scale panel. */
export const theViewer = () => viewer;

/** Wire viewer, tools and keys. */
export function startWorkspace() {
  viewer = new Viewer(byId("viewport"), { hover: showTip, zoomed: () => { byId("zoom-level").textContent = `${Math.round(viewer.zoom * 100)} %`; drawMarks(); }, middle: selectionMiddle });
  tools = {
    select: new SelectTool(viewer, { picked, step }),
    draw: new DrawTool(viewer, { drawn }),
    corners: new CornersTool(viewer, { target: theSelected, changed: reshape, picked }),
    split: new LineTool(viewer, "split", { drawn: split }),
  };
  viewer.use(tools.select);
  const actions = {
    "tool-select": () => useTool("select"), "tool-draw": () => useTool("draw"), "tool-corners": () => useTool("corners"),
    "tool-split": () => useTool("split"), "do-merge": merge, "do-delete": remove, "do-restore": restore,
    "do-undo": () => stepBack(undo, "edit.undone"), "do-redo": () => stepBack(redo, "edit.redone"),
    "do-zoom-in": () => viewer.zoomBy(1.4), "do-zoom-out": () => viewer.zoomBy(1 / 1.4), "do-fit": () => viewer.fit(),
    "show-outlines": () => toggle("showOutlines"), "show-left-out": () => toggle("showLeftOut"),
  };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", () => byId(id).getAttribute("aria-disabled") !== "true" && action());
  document.addEventListener("keydown", shortcuts);
  on("active", open);
  on("detail edits statistics selection brush filters view", schedule);
  on("edits saving detail", tellSaved);
  on("detail", () => viewer.tool === tools.corners && !isUnsaved() && tools.corners.load());
}

// --- what is shown

async function open() {
  const summary = activeSummary();
  byId("workspace").hidden = !summary;
  if (!summary) return;
  useTool("select", false);
  byId("micrograph-heading").textContent = summary.name;
  viewer.open({ address: api.address(`micrographs/${summary.id}/image.png`), width: summary.width, height: summary.height });
  viewer.fit();
  if (activeDetail()) return schedule();
  byId("stage-wait").hidden = false;
  byId("stage-wait-text").textContent = t("stage.loading");
  try {
    takeDetail(await api.get(`micrographs/${summary.id}`));
  } catch (error) {
    complain(error.message);
  }
  byId("stage-wait").hidden = true;
}

function schedule() {
  if (scheduled) return;
  scheduled = true;
  requestAnimationFrame(() => {
    scheduled = false;
    drawAll();
  });
}

function drawAll() {
  const detail = activeDetail();
  particles = currentParticles(detail);
  const groups = groupNames();
  viewer.draw(particles.map((each) => ({ ...each, classes: classesOf(each, groups) })));
  drawMarks();
  drawSelection();
  drawLegend(groups);
  drawTools();
}

function classesOf(particle, groups) {
  const standing = standingOf(particle);
  const classes = [standing, `g${Math.max(groups.indexOf(groupOf(particle)), 0) % GROUP_COLOURS}`];
  if (!isShown(particle, standing)) classes.push("gone");
  if (particle.origin !== "model") classes.push("edited");
  if (state.selection.has(particle.number)) classes.push("selected");
  if (state.brush) classes.push(standing === "in" && state.brush.has(state.active, particle.number) ? "brushed" : "dim");
  return classes.join(" ");
}

function drawMarks() {
  const detail = activeDetail();
  const scale = state.line ? { bar: state.line, source: "line", text: "?", used: null } : detail?.scale;
  viewer.marks.replaceChildren(...(detail && state.showOutlines ? drawBar(viewer, scale) : []));
}

function drawLegend(groups) {
  const detail = activeDetail();
  if (!detail) return put(byId("legend"));
  const members = groups.map(() => 0);
  const tally = { in: 0, out: 0, unsure: 0, removed: 0, edited: 0 };
  for (const each of particles) {
    const standing = standingOf(each);
    tally[standing] += 1;
    if (standing === "in") members[groups.indexOf(groupOf(each))] += 1;
    if (each.origin !== "model" && !each.removed) tally.edited += 1;
  }
  const there = groups.map((name, i) => ({ name, i })).filter(({ i }) => members[i]);
  const key = (i, text) => h("li", { class: `key g${i % GROUP_COLOURS}` }, text);
  const kinds = there.length > 1 ? there.map(({ name, i }) => key(i, `${members[i]} ${name}`)) : [key(there[0]?.i ?? 0, t("legend.in", { n: tally.in }))];
  put(byId("legend"), kinds,
    tally.out ? h("li", { class: "key out" }, t("legend.out", { n: tally.out })) : null,
    tally.edited ? h("li", { class: "key edited" }, t("legend.edited", { n: tally.edited })) : null,
    tally.unsure ? h("li", { class: "key unsure" }, t("legend.unsure", { n: tally.unsure })) : null,
    tally.removed ? h("li", { class: "key removed" }, t("legend.removed", { n: tally.removed })) : null);
}

function showTip(number, event) {
  const tip = byId("tip");
  const particle = number === null ? null : particles.find((each) => each.number === number);
  viewer.layer.querySelector(".hovered")?.classList.remove("hovered");
  tip.hidden = !particle;
  if (!particle) return;
  viewer.paths.get(number)?.path.classList.add("hovered");
  tip.textContent = [t("particle", { number }), sizeOf(particle), reasonOf(particle)].filter(Boolean).join(" · ");
  const stage = tip.parentElement.getBoundingClientRect();
  const left = event.clientX - stage.left + 14;
  tip.style.left = `${Math.min(left, stage.width - tip.offsetWidth - 6)}px`;
  tip.style.top = `${Math.min(event.clientY - stage.top + 16, stage.height - tip.offsetHeight - 6)}px`;
}

const unitOf = () => (activeDetail()?.scale?.used ? "nm" : "px");

function sizeOf(particle) {
  const value = particle.values[`diameter_${unitOf()}`];
  return value === null || value === undefined ? "" : `${length(value)} ${unitOf()}`;
}

function reasonOf(particle) {
  if (particle.removed) return t("particle.removed");
  return exclusionOf(particle.number) ?? "";
}

// --- tools

/** Put another tool into the hand; `focus` brings the keyboard to the micrograph. */
function useTool(name, focus = true) {
  if (name === "corners" && !theSelected()) announce(t("tool.corners.none"));
  viewer.use(tools[name]);
  tellTool(name);
  if (focus) viewer.host.focus({ preventScroll: true });
}

/** Have a line drawn for the scale; `done` gets both ends, and how many pixels one of the screen spans. */
export function drawScaleLine(done) {
  const tool = new LineTool(viewer, "scale", {
    level: true,
    drawn: (from, to) => { useTool("select", false); done([...from, ...to], 1 / viewer.zoom); },
  });
  viewer.use(tool);
  tellTool("scale");
  viewer.host.focus();
  viewer.host.scrollIntoView({ block: "nearest" });
}

function tellTool(name) {
  for (const each of ["select", "draw", "corners", "split"]) byId(`tool-${each}`).setAttribute("aria-pressed", String(each === name));
  const place = byId("tool-hint");
  place.hidden = name === "select";
  place.textContent = name === "select" ? "" : t(`tool.${name}.how`);
  if (name !== "select") announce(place.textContent);
}

function drawTools() {
  const chosen = particles.filter((each) => state.selection.has(each.number));
  const kept = chosen.filter((each) => !each.removed);
  const able = {
    "do-merge": kept.length > 1, "do-delete": kept.length > 0, "do-restore": chosen.some((each) => each.removed),
    "do-undo": canUndo(), "do-redo": canRedo(),
  };
  // Disabled buttons lose the focus; these keep it.
  for (const [id, can] of Object.entries(able)) byId(id).setAttribute("aria-disabled", String(!can));
  byId("show-outlines").setAttribute("aria-pressed", String(state.showOutlines));
  byId("show-left-out").setAttribute("aria-pressed", String(state.showLeftOut));
}

function toggle(what) {
  state[what] = !state[what];
  changed("view");
}

function tellSaved() {
  const count = activeDetail()?.edited;
  byId("saved").textContent = isUnsaved() ? t("saved.saving") : count ? t("saved", { n: count }) : "";
}

// --- selection

function picked(numbers, keep) {
  const selection = keep ? new Set(state.selection) : new Set();
  for (const number of numbers) {
    // A second click with Shift takes it out again.
    if (keep && numbers.length === 1 && selection.has(number)) selection.delete(number);
    else selection.add(number);
  }
  select(selection);
}

/** Select these particles, and show them. */
export function select(numbers, { reveal = false } = {}) {
  state.selection = new Set(numbers);
  changed("selection");
  const chosen = currentParticles().filter((each) => state.selection.has(each.number));
  if (reveal && chosen.length === 1) viewer.reveal(boxOfParticle(chosen[0]));
  if (chosen.length === 1) {
    announce([t("particle", { number: chosen[0].number }), sizeOf(chosen[0]), reasonOf(chosen[0]) || t("particle.counts")].filter(Boolean).join(", "));
  } else if (chosen.length) announce(t("selection.several", { n: chosen.length }));
  if (viewer.tool === tools.corners) tools.corners.load();
}

function step(direction, keep) {
  const order = particles.filter((each) => isShown(each)).map((each) => each.number).sort((one, other) => one - other);
  if (!order.length) return;
  const last = [...state.selection].at(-1);
  const at = last === undefined ? (direction > 0 ? -1 : 0) : order.indexOf(last);
  const next = order[(at + direction + order.length) % order.length];
  select(keep ? [...state.selection, next] : [next], { reveal: true });
}

function selectionMiddle() {
  const boxes = particles.filter((each) => state.selection.has(each.number)).map(boxOfParticle);
  if (!boxes.length) return null;
  const [left, top] = [0, 1].map((side) => Math.min(...boxes.map((box) => box[side])));
  const [right, bottom] = [2, 3].map((side) => Math.max(...boxes.map((box) => box[side])));
  return [(left + right) / 2, (top + bottom) / 2];
}

function theSelected() {
  if (state.selection.size !== 1) return null;
  const [number] = state.selection;
  return currentParticles().find((each) => each.number === number && !each.removed) ?? null;
}

function drawSelection() {
  const place = byId("selection");
  const chosen = particles.filter((each) => state.selection.has(each.number));
  if (!chosen.length) {
    if (place.dataset.shown !== "none") put(place, h("p", { class: "soft" }, t("selection.none")));
    place.dataset.shown = "none";
    return;
  }
  const shown = JSON.stringify(chosen.map((each) => [each.number, each.label, each.shape, each.removed, each.origin, each.values, exclusionOf(each.number)]));
  if (place.dataset.shown === shown) return;
  const focus = place.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  place.dataset.shown = shown;
  put(place, chosen.length === 1 ? ofOne(chosen[0]) : ofSeveral(chosen));
  if (focus) (place.querySelector(`[data-act="${focus}"]`) ?? viewer.host).focus();
}

function ofOne(particle) {
  const unit = unitOf();
  const { values } = particle;
  const facts = [
    ["diameter", sizeOf(particle)],
    ["aspect_ratio", values.aspect_ratio === null || values.aspect_ratio === undefined ? "" : ratio(values.aspect_ratio, 2)],
    ["circularity", values.circularity === null || values.circularity === undefined ? "" : ratio(values.circularity, 2)],
    ["confidence", particle.confidence === null ? "" : ratio(particle.confidence, 2)],
  ].filter(([, value]) => value);
  const reason = reasonOf(particle);
  const group = groupOf(particle);
  const name = group === UNNAMED ? null : group;
  return [
    h("p", { class: "title" }, h("b", {}, t("particle", { number: particle.number })), name ? h("span", { class: "badge" }, name) : null,
      particle.origin === "model" ? null : h("span", { class: "badge hand" }, t(`origin.${particle.origin}`)),
      reason ? h("span", { class: "badge look" }, t("particle.left-out", { reason })) : h("span", { class: "badge good" }, t("particle.counts"))),
    h("dl", { class: "facts" }, facts.map(([quantity, value]) => h("div", {}, h("dt", {}, headingOf(quantity, unit)), h("dd", {}, value)))),
    h("div", { class: "row" },
      particle.removed
        ? button("restore", "restore", "tool.restore", restore)
        : [button("delete", "delete", "tool.delete", remove), button("corners", "corners", "tool.corners", () => useTool("corners")), countButton([particle])],
      button("row", "fit", "particle.row", () => changed("row")),
      classField([particle])),
  ];
}

function ofSeveral(chosen) {
  const kept = chosen.filter((each) => !each.removed);
  return [
    h("p", { class: "title" }, h("b", {}, t("selection.several", { n: chosen.length }))),
    h("div", { class: "row" },
      kept.length > 1 ? button("merge", "merge", "tool.merge", merge) : null,
      kept.length ? button("delete", "delete", "tool.delete", remove) : null,
      kept.length < chosen.length ? button("restore", "restore", "tool.restore", restore) : null,
      countButton(kept),
      classField(chosen)),
  ];
}

const headingOf = (quantity, unit) => state.about.columns.find((each) => each.quantity === quantity && (!each.unit || each.unit === unit))?.heading ?? quantity;

function button(name, symbol, key, action) {
  return h("button", { type: "button", class: "small", data: { act: name }, title: t(`${key}.title`), onclick: action }, icon(symbol), t(key));
}

/** What lies on a mark or at the border may count all the same. */
function countButton(chosen) {
  const { counted } = currentEdits();
  const numbers = chosen.map((each) => each.number);
  if (numbers.length && numbers.every((each) => counted.includes(each))) {
    return button("count", "minus", "particle.uncount", () => commit(edits.countOutlines(currentEdits(), numbers, false)));
  }
  const could = chosen.filter((each) => each.on_mark || each.values.touches_border).map((each) => each.number).filter((each) => exclusionOf(each));
  if (!could.length || isNotPooled()) return null;
  return button("count", "check", "particle.count", () => {
    commit(edits.countOutlines(currentEdits(), could, true));
    announce(t("particle.counted", { n: could.length }));
  });
}

/** Where the model knows classes, a person may name another. */
function classField(chosen) {
  const classes = state.about?.model?.classes ?? [];
  if (classes.length < 2) return null;
  const now = chosen.every((each) => each.label === chosen[0].label) ? chosen[0].label ?? "" : "";
  return h("label", { class: "inline" }, t("particle.class"), h("select", {
    data: { act: "class" },
    onchange: (event) => event.target.value && commit(edits.labelOutlines(currentEdits(), chosen.map((each) => each.number), event.target.value, modelCount())),
  }, now ? null : h("option", { value: "" }, "–"), classes.map((name) => h("option", { value: name, selected: name === now }, name))));
}

// --- edits

function remove() {
  const numbers = particles.filter((each) => state.selection.has(each.number) && !each.removed).map((each) => each.number);
  if (!numbers.length) return announce(t("selection.none"));
  commit(edits.removeOutlines(currentEdits(), numbers));
  state.selection = new Set();
  changed("selection");
  announce(t("edit.removed", { n: numbers.length }));
  if (viewer.tool === tools.corners) useTool("select");
}

function restore() {
  const numbers = particles.filter((each) => state.selection.has(each.number) && each.removed).map((each) => each.number);
  if (!numbers.length) return announce(t("edit.restore.none"));
  commit(edits.restoreOutlines(currentEdits(), numbers));
  announce(t("edit.restored", { n: numbers.length }));
}

function drawn(ring) {
  const [number] = add([[[ring]]]);
  announce(t("edit.drawn", { number }));
}

function reshape(number, outline) {
  commit(edits.changeOutline(currentEdits(), number, outline, modelCount()));
}

/** Put outlines in place of others, and select them. */
function add(outlines, from = []) {
  const before = currentEdits();
  const first = modelCount() + before.drawn.length + 1;
  const labels = new Set(particles.filter((each) => from.includes(each.number)).map((each) => each.label));
  commit(edits.drawOutlines(before, outlines, from, labels.size === 1 ? [...labels][0] : null));
  const numbers = outlines.map((_, i) => first + i);
  state.selection = new Set(numbers);
  changed("selection");
  return numbers;
}

async function merge() {
  const chosen = particles.filter((each) => state.selection.has(each.number) && !each.removed);
  if (chosen.length < 2) return complain(t("edit.merge.few"));
  const { width, height } = viewer.size;
  const id = state.active;
  try {
    const { outline } = await api.post("geometry/merge", { width, height, outlines: chosen.map((each) => each.outline) });
    if (state.active !== id) return;
    const [number] = add([outline], chosen.map((each) => each.number));
    announce(t("edit.merged", { n: chosen.length, number }));
  } catch (error) {
    complain(error.message);
  }
}

async function split(from, to) {
  const target = theSelected() ?? under(from, to);
  if (!target) return complain(t("edit.split.none"));
  const { width, height } = viewer.size;
  const id = state.active;
  try {
    const { outlines } = await api.post("geometry/split", { width, height, outline: target.outline, line: [from, to] });
    if (state.active !== id) return;
    add(outlines, [target.number]);
    announce(t("edit.split", { number: target.number, n: outlines.length }));
    useTool("select");
  } catch (error) {
    complain(error.message);
  }
}

/** The outline in the middle of a line. */
function under(from, to) {
  const point = viewer.root.createSVGPoint();
  [point.x, point.y] = [(from[0] + to[0]) / 2, (from[1] + to[1]) / 2];
  const hit = [...viewer.paths].reverse().find(([, { path, classes }]) => !classes.includes("gone") && path.isPointInFill(point));
  return hit ? particles.find((each) => each.number === hit[0]) : null;
}

function stepBack(action, key) {
  if (!action()) return announce(t(`${key}.none`));
  const there = new Set(currentParticles().map((each) => each.number));
  state.selection = new Set([...state.selection].filter((each) => there.has(each)));
  changed("selection");
  if (viewer.tool === tools.corners) tools.corners.load();
  announce(t(key));
}

// --- keys

const KEYS = { v: "tool-select", d: "tool-draw", e: "tool-corners", s: "tool-split", m: "do-merge", r: "do-restore", o: "show-outlines", l: "show-left-out" };

function shortcuts(event) {
  if (byId("workspace").hidden || isTyping(event.target) || document.querySelector("dialog[open]")) return;
  const control = event.ctrlKey || event.metaKey;
  const key = event.key.toLowerCase();
  if (control && key === "z") byId(event.shiftKey ? "do-redo" : "do-undo").click();
  else if (control && key === "y") byId("do-redo").click();
  else if (control || event.altKey) return;
  // Single letters only where the micrograph has the focus, or nothing has: they must not surprise who types elsewhere.
  else if (!(event.target === document.body || byId("micrograph").contains(event.target))) return;
  else if (event.key === "Escape") escape();
  // With the other tools, Backspace takes back a point: once too often, it must not take out what is selected.
  else if (event.key === "Delete" || (event.key === "Backspace" && viewer.tool === tools.select)) remove();
  else if (KEYS[key] && !event.shiftKey) byId(KEYS[key]).click();
  else return;
  event.preventDefault();
}

function escape() {
  if (viewer.tool !== tools.select) useTool("select");
  else if (state.selection.size) select([]);
  else if (state.brush) { state.brush = null; changed("brush"); }
}
