// The scale panel: what was found and where, whether it is used, and every way to correct it.

import { activeDetail, changed, on, sampleIds, state } from "./state.js";
import { announce, complain } from "./messages.js";
import { byId, h, icon, put } from "./dom.js";
import { changeScale } from "./saving.js";
import { drawScaleLine, theViewer } from "./workspace.js";
import { hinted } from "./hints.js";
import { mayBeTwo, readDecimal } from "./decimals.js";
import { scale as inWords } from "./format.js";
import { textOfBar } from "./bar.js";
import { t } from "./language.js";

const TWINS = 3; // scales of other images that are offered
const ALIKE = 0.001; // part by which one scale differs that was read twice, with other digits

let editing = false;
let shown = "";
let lineScreenPx = 0; // pixels that one of the screen spanned when state.line was drawn

/** Keep the panel up to date. */
export function startScale() {
  on("active", () => { editing = false; state.line = null; });
  on("active detail excluded micrographs", draw);
}

function draw() {
  const detail = activeDetail();
  const body = byId("scale-body");
  if (!detail) {
    shown = "";
    byId("scale-badge").hidden = true;
    return put(body, h("p", { class: "soft" }, t("stage.loading")));
  }
  const { scale } = detail;
  const content = JSON.stringify([detail.id, scale, editing, state.line, sampleIds().length, scale.used ? null : twins()]);
  if (content === shown) return;
  const focus = body.contains(document.activeElement) ? document.activeElement.id : null;
  shown = content;
  const badge = byId("scale-badge");
  badge.hidden = false;
  const asks = !scale.used && scale.nm_per_px !== null;
  badge.className = `badge ${scale.used ? "good" : "look"}`;
  badge.textContent = t(scale.used ? "scale.used" : asks ? "scale.asks" : "scale.px");
  put(body, asks ? question(scale) : scale.used ? standing(scale) : without(scale), editing ? editor(scale) : null);
  if (focus) byId(focus)?.focus();
}

/** What is marked is a bar, since a length was read beside it; without one it may be the edge of a particle. */
const isStrip = (scale) => scale.bar !== null && !textOfBar(scale);

function standing(scale) {
  return [
    h("p", { class: "big" }, h("b", { id: "scale-value" }, inWords(scale.used)), ` ${t("scale.unit")}`),
    h("p", { class: "soft" }, hinted("scale.source", { source: scale.sentence })),
    editing ? null : h("div", { class: "row" },
      h("button", { type: "button", class: "small", id: "scale-edit", onclick: () => edit() }, icon("ruler"), t("scale.edit")),
      sampleIds().length > 1 ? h("button", { type: "button", class: "small", id: "scale-all", title: t("scale.all.title"), onclick: () => useForAll(takenFrom(activeDetail())) }, t("scale.all", { n: sampleIds().length })) : null),
  ];
}

/** Why there is no scale, and each way to one. */
function without(scale) {
  const none = h("p", {}, hinted("scale.none"));
  const why = h("p", { class: "soft" }, t(...reasonOf(scale)));
  if (editing) return [none, why];
  if (scale.left_in_px) return [none, why, h("div", { class: "row" }, setButton(), resetButton())];
  if (isReciprocal(scale)) return [none, why, h("div", { class: "row" }, setButton())];
  const like = twins();
  const advice = (key, ...buttons) => h("li", {}, h("span", {}, t(key)), h("div", { class: "row" }, buttons));
  return [
    none, why,
    h("ul", { class: "advice" },
      scale.bar ? advice("scale.advice.strip", way("scale-way-bar", "scale.advice.strip.do", () => edit("scale-bar-input"), "ruler"), way("scale-show", "scale.show.bar", () => showBar(scale.bar))) : null,
      advice(scale.bar ? "scale.advice.draw" : "scale.advice.draw.first", way("scale-way-draw", "scale.draw", drawLine, "ruler")),
      like.length ? advice("scale.advice.twin", ...like.map((each, i) => h("button", { type: "button", class: "small", id: `scale-twin-${i}`, title: each.name, onclick: () => change(takenFrom(each), "scale.changed") }, t("scale.advice.twin.do", { scale: inWords(each.nm_per_px), name: each.name.split("/").at(-1) })))) : null,
      advice("scale.advice.type", setButton("scale.advice.type.do", "scale-number-input")),
      h("li", {}, t("scale.advice.pixels"))),
  ];
}

function reasonOf(scale) {
  if (scale.left_in_px) return ["scale.none.left"];
  if (isReciprocal(scale)) return ["scale.reciprocal", { text: scale.text }];
  return isStrip(scale) ? ["scale.none.strip", { px: lengthOf(scale.bar).toFixed(0) }] : ["scale.none.bar"];
}

const setButton = (key = "scale.set", field = null) => h("button", { type: "button", class: "small", id: "scale-edit", onclick: () => edit(field) }, icon("ruler"), t(key));

const resetButton = () => h("button", { type: "button", class: "link small", id: "scale-reset", onclick: () => change({ reset: true }, "scale.reset.done") }, t("scale.reset"));

const way = (id, key, action, symbol = null) => h("button", { type: "button", class: "small", id, onclick: action }, symbol ? icon(symbol) : null, t(key));

/** A diffraction pattern: what was read is no length. */
const isReciprocal = (scale) => !scale.left_in_px && scale.nm_per_px === null && scale.bar === null && scale.text !== "";

const lengthOf = ([x0, y0, x1, y1]) => Math.hypot(x1 - x0, y1 - y0);

/** Images of the same size with a scale, one of each scale: micrographs of one session are often alike in it. */
function twins() {
  const { width, height } = activeDetail();
  const found = state.micrographs.filter((each) => each.id !== state.active && each.nm_per_px && each.width === width && each.height === height);
  return found.filter((each, i) => found.findIndex((other) => Math.abs(other.nm_per_px / each.nm_per_px - 1) <= ALIKE) === i).slice(0, TWINS);
}

/** Below the gate nobody gets nanometres unasked. */
function question(scale) {
  return [
    h("div", { class: "ask" },
      h("p", {}, h("b", {}, t("scale.ask"))),
      h("p", {}, t(scale.text ? "scale.ask.found" : "scale.ask.number", { scale: inWords(scale.nm_per_px), text: scale.text })),
      h("div", { class: "row" },
        h("button", { type: "button", class: "primary small", id: "scale-accept", onclick: () => change({ accept: true }, "scale.accepted") }, icon("check"), t("scale.accept")),
        h("button", { type: "button", class: "small", id: "scale-edit", onclick: () => edit() }, t("scale.set")),
        h("button", { type: "button", class: "link small", id: "scale-pixels", onclick: () => change({ pixels: true }, "scale.in-px") }, t("scale.stay")))),
    scale.bar ? h("button", { type: "button", class: "link small", id: "scale-show", onclick: () => showBar(scale.bar) }, t("scale.show")) : null,
  ];
}

/** Open the fields; the cursor goes to the one that this image needs, or to the one that is named. */
function edit(field = null) {
  editing = true;
  draw();
  const target = (field && byId(field)) ?? byId("scale-body").querySelector(".ways input");
  target?.focus();
  target?.select();
}

function editor(scale) {
  const { line } = state;
  const drawButton = h("button", { type: "button", class: "small way", id: "scale-draw", onclick: drawLine }, icon("ruler"), t(line ? "scale.draw.again" : "scale.draw"));
  const others = line ? [] : scale.others.filter((each) => each.value_nm !== null);
  return h("div", { class: "ways" },
    line ? ofLine(line, scale) : inOrder(scale),
    others.length ? h("div", {}, h("p", { class: "soft" }, t("scale.others")), h("div", { class: "row" }, others.map((each, i) =>
      h("button", { type: "button", class: "small way", id: `scale-other-${i}`, onclick: () => change({ line: each.bar, length: `${each.value_nm} nm` }, "scale.changed") }, each.text || `${each.value_nm} nm`)))) : null,
    h("div", { class: "row" },
      drawButton,
      resetButton(),
      scale.used ? h("button", { type: "button", class: "link small", id: "scale-to-px", onclick: () => change({ pixels: true }, "scale.in-px") }, t("scale.in-pixels")) : null,
      h("button", { type: "button", class: "link small", id: "scale-cancel", onclick: () => { close(); byId("scale-edit")?.focus(); } }, t("cancel"))));
}

const ofLine = (line, scale) => form("scale-line", t("scale.line.length"), t("scale.line.hint", { px: lengthOf(line).toFixed(1) }), (text) => change({ line, length: text, screen_px: lineScreenPx }, "scale.changed"), textOfBar(scale));

/** The likeliest way first: what is marked is mostly the bar, and where nothing is marked, there may be none. */
function inOrder(scale) {
  const bar = scale.bar ? form("scale-bar", t(isStrip(scale) ? "scale.strip.length" : "scale.bar.length"), t(isStrip(scale) ? "scale.strip.length.hint" : "scale.bar.hint"), (text) => change({ bar_length: text }, "scale.changed"), textOfBar(scale)) : null;
  return [bar, form("scale-number", t(bar ? "scale.number.or" : "scale.number"), t("scale.number.hint"), (text) => {
    const value = readDecimal(text);
    if (!(value > 0)) throw new Error(t(mayBeTwo(text) ? "scale.number.two" : "scale.number.wrong", { text }));
    return change({ nm_per_px: value }, "scale.changed");
  }, scale.used ? inWords(scale.used) : "")];
}

function form(id, label, help, action, value) {
  const input = h("input", { id: `${id}-input`, type: "text", autocomplete: "off", value, "aria-describedby": `${id}-help`, spellcheck: "false" });
  const wrong = h("p", { class: "wrong", id: `${id}-wrong`, role: "alert" });
  return h("form", {
    class: "way", id, novalidate: true,
    onsubmit: async (event) => {
      event.preventDefault();
      wrong.textContent = "";
      try {
        if (!input.value.trim()) throw new Error(t("scale.empty"));
        await action(input.value.trim());
      } catch (error) {
        wrong.textContent = error.message;
        input.setAttribute("aria-invalid", "true");
        input.focus();
      }
    },
  }, h("label", { for: input.id }, label), h("div", { class: "row" }, input, h("button", { type: "submit", class: "small" }, t("apply"))), h("p", { class: "soft", id: `${id}-help` }, help), wrong);
}

function close() {
  editing = false;
  state.line = null;
  changed("view");
  draw();
}

function drawLine() {
  drawScaleLine((ends, screenPx) => {
    state.line = ends.map((each) => Math.round(each * 100) / 100);
    lineScreenPx = screenPx;
    editing = true;
    changed("view");
    draw();
    byId("scale-line-input")?.focus();
    byId("scale-line-input")?.select();
  });
}

async function change(choice, told) {
  const id = state.active;
  try {
    await changeScale(id, choice);
  } catch (error) {
    if (error.status === 409) return complain(t("edit.conflict"));
    if ("line" in choice || "bar_length" in choice || "nm_per_px" in choice) throw error;
    return complain(error.message);
  }
  close();
  announce(t(told));
  (byId("scale-edit") ?? byId("scale-heading")).focus?.();
}

/** The scale of one micrograph for others, with what reading it there was uncertain by. */
const takenFrom = ({ nm_per_px, scale_uncertainty }) => ({ nm_per_px, scale_uncertainty });

async function useForAll(choice) {
  const [from, ids] = [state.active, sampleIds()]; // another image may be opened meanwhile, and gets the scale, too
  try {
    for (const id of ids) if (id !== from) await changeScale(id, choice).catch(unlessGone);
    announce(t("scale.all.done", { n: ids.length, scale: inWords(choice.nm_per_px) }));
  } catch (error) {
    complain(error.message);
  }
}

/** An image that was removed meanwhile, in another window, needs no scale. */
function unlessGone(error) {
  if (error.status !== 404) throw error;
}

function showBar([x0, y0, x1, y1]) {
  const viewer = theViewer();
  viewer.fit();
  viewer.zoomBy(Math.min(4, viewer.size.width / (3 * Math.max(Math.abs(x1 - x0), 1))));
  viewer.reveal([Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)]);
  viewer.host.focus();
}
