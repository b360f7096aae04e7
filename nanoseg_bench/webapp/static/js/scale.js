// The scale panel: what was found and where, whether it is used, and every way to correct it.

import { activeDetail, changed, on, sampleIds, state } from "./state.js";
import { announce, complain } from "./messages.js";
import { byId, h, icon, put } from "./dom.js";
import { changeScale } from "./saving.js";
import { drawScaleLine, theViewer } from "./workspace.js";
import { hinted } from "./hints.js";
import { scale as inWords } from "./format.js";
import { t } from "./language.js";

let editing = false;
let shown = "";

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
  const content = JSON.stringify([detail.id, scale, editing, state.line, sampleIds().length]);
  if (content === shown) return;
  const focus = body.contains(document.activeElement) ? document.activeElement.id : null;
  shown = content;
  const badge = byId("scale-badge");
  badge.hidden = false;
  const asks = !scale.used && scale.nm_per_px !== null && scale.source !== "pixels";
  badge.className = `badge ${scale.used ? "good" : "look"}`;
  badge.textContent = t(scale.used ? "scale.used" : asks ? "scale.asks" : "scale.px");
  put(body, asks ? question(scale) : standing(scale), editing ? editor(scale) : null);
  if (focus) byId(focus)?.focus();
}

function standing(scale) {
  const value = scale.used
    ? h("p", { class: "big" }, h("b", { id: "scale-value" }, inWords(scale.used)), ` ${t("scale.unit")}`)
    : h("p", {}, hinted("scale.none"));
  return [
    value,
    h("p", { class: "soft" }, scale.used ? hinted("scale.source", { source: scale.sentence }) : t("scale.none.ways")),
    editing ? null : h("div", { class: "row" },
      h("button", { type: "button", class: "small", id: "scale-edit", onclick: edit }, icon("ruler"), t(scale.used ? "scale.edit" : "scale.set")),
      scale.used && sampleIds().length > 1 ? h("button", { type: "button", class: "small", id: "scale-all", title: t("scale.all.title"), onclick: () => useForAll(scale.used) }, t("scale.all", { n: sampleIds().length })) : null),
  ];
}

/** Below the gate nobody gets nanometres unasked. */
function question(scale) {
  return [
    h("div", { class: "ask" },
      h("p", {}, h("b", {}, t("scale.ask"))),
      h("p", {}, t(scale.text ? "scale.ask.found" : "scale.ask.number", { scale: inWords(scale.nm_per_px), text: scale.text })),
      h("div", { class: "row" },
        h("button", { type: "button", class: "primary small", id: "scale-accept", onclick: () => change({ accept: true }, "scale.accepted") }, icon("check"), t("scale.accept")),
        h("button", { type: "button", class: "small", id: "scale-edit", onclick: edit }, t("scale.set")),
        h("button", { type: "button", class: "link small", id: "scale-pixels", onclick: () => change({ pixels: true }, "scale.in-px") }, t("scale.stay")))),
    scale.bar ? h("button", { type: "button", class: "link small", id: "scale-show", onclick: () => showBar(scale.bar) }, t("scale.show")) : null,
  ];
}

function edit() {
  editing = true;
  draw();
  byId("scale-body").querySelector("input, button.way")?.focus();
}

function editor(scale) {
  const { line } = state;
  const rows = [];
  if (line) {
    rows.push(form("scale-line", t("scale.line.length"), t("scale.line.hint", { px: Math.hypot(line[2] - line[0], line[3] - line[1]).toFixed(1) }), (text) => change({ line, length: text }, "scale.changed"), scale.text));
  } else {
    if (scale.bar) rows.push(form("scale-bar", t("scale.bar.length"), t("scale.bar.hint"), (text) => change({ bar_length: text }, "scale.changed"), scale.text));
    rows.push(form("scale-number", t("scale.number"), t("scale.number.hint"), (text) => {
      const value = Number(text.replace(",", "."));
      if (!(value > 0)) throw new Error(t("scale.number.wrong", { text }));
      return change({ nm_per_px: value }, "scale.changed");
    }, scale.used ? inWords(scale.used) : ""));
  }
  const others = line ? [] : scale.others.filter((each) => each.value_nm !== null);
  return h("div", { class: "ways" },
    rows,
    others.length ? h("div", {}, h("p", { class: "soft" }, t("scale.others")), h("div", { class: "row" }, others.map((each, i) =>
      h("button", { type: "button", class: "small way", id: `scale-other-${i}`, onclick: () => change({ line: each.bar, length: `${each.value_nm} nm` }, "scale.changed") }, each.text || `${each.value_nm} nm`)))) : null,
    h("div", { class: "row" },
      h("button", { type: "button", class: "small way", id: "scale-draw", onclick: drawLine }, icon("ruler"), t(line ? "scale.draw.again" : "scale.draw")),
      h("button", { type: "button", class: "link small", id: "scale-reset", onclick: () => change({ reset: true }, "scale.reset.done") }, t("scale.reset")),
      scale.used ? h("button", { type: "button", class: "link small", id: "scale-to-px", onclick: () => change({ pixels: true }, "scale.in-px") }, t("scale.in-pixels")) : null,
      h("button", { type: "button", class: "link small", id: "scale-cancel", onclick: () => { close(); byId("scale-edit")?.focus(); } }, t("cancel"))));
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
  drawScaleLine((ends) => {
    state.line = ends.map((each) => Math.round(each * 100) / 100);
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

async function useForAll(value) {
  try {
    for (const id of sampleIds()) if (id !== state.active) await changeScale(id, { nm_per_px: value });
    announce(t("scale.all.done", { n: sampleIds().length, scale: inWords(value) }));
  } catch (error) {
    complain(error.message);
  }
}

function showBar([x0, y0, x1, y1]) {
  const viewer = theViewer();
  viewer.fit();
  viewer.zoomBy(Math.min(4, viewer.size.width / (3 * Math.max(Math.abs(x1 - x0), 1))));
  viewer.reveal([Math.min(x0, x1), Math.min(y0, y1), Math.max(x0, x1), Math.max(y0, y1)]);
  viewer.host.focus();
}
