// The help and the model's own words, as dialogs.

import { byId, h, isTyping, put } from "./dom.js";
import { state } from "./state.js";
import { t } from "./language.js";

const KEYS = [
  ["keys.look", [["+ −", "keys.zoom"], ["0", "keys.fit"], ["← ↑ → ↓", "keys.pan"], ["O", "keys.outlines"], ["L", "keys.left-out"]]],
  ["keys.choose", [["N · P", "keys.next"], ["Shift N · P", "keys.next-more"], ["V", "keys.select"], ["Esc", "keys.escape"]]],
  ["keys.change", [["Del", "keys.delete"], ["R", "keys.restore"], ["M", "keys.merge"], ["D", "keys.draw"], ["E", "keys.corners"], ["S", "keys.split"], ["Ctrl Z", "keys.undo"], ["Ctrl Shift Z", "keys.redo"]]],
  ["keys.points", [["← ↑ → ↓", "keys.cursor"], ["Shift ← ↑ → ↓", "keys.cursor-far"], ["Space", "keys.point"], ["Enter", "keys.close"], ["Backspace", "keys.back"]]],
  ["keys.corners.heading", [[", · .", "keys.corner-next"], ["← ↑ → ↓", "keys.corner-move"], ["I", "keys.corner-new"], ["Backspace", "keys.corner-drop"]]],
];

/** Wire both dialogs. */
export function startHelp() {
  byId("help-button").addEventListener("click", () => open("help"));
  byId("model-button").addEventListener("click", () => open("model"));
  document.addEventListener("keydown", (event) => {
    if (event.key === "?" && !isTyping(event.target) && !document.querySelector("dialog[open]")) open("help");
  });
  for (const dialog of document.querySelectorAll("dialog")) {
    // A press beside the dialog closes it.
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  }
  put(byId("help-body"),
    h("ol", { class: "how" }, [1, 2, 3, 4, 5].map((each) => h("li", {}, t(`help.${each}`)))),
    h("h3", {}, t("keys")), h("p", { class: "soft" }, t("keys.where")),
    h("div", { class: "keys" }, KEYS.map(([heading, keys]) => h("section", {}, h("h4", {}, t(heading)),
      h("dl", {}, keys.map(([press, key]) => h("div", {}, h("dt", {}, press.split(" ").map((each) => (each === "·" ? h("span", { class: "soft" }, "·") : h("kbd", {}, each)))), h("dd", {}, t(key)))))))));
}

/** Say which model looks for the particles. */
export function tellModel() {
  const { model, trouble } = state.about;
  byId("model-title").textContent = model?.title ?? t(trouble ? "model.trouble" : "model.loading");
  byId("model-button").classList.toggle("bad", Boolean(trouble));
  byId("model-button").setAttribute("aria-label", t("model.button", { title: model?.title ?? "" }));
  put(byId("model-body"), trouble ? h("p", { class: "wrong" }, trouble) : null, model ? [
    h("p", {}, h("b", {}, model.title)),
    h("ul", {}, model.quality.map((sentence) => h("li", {}, sentence))),
    model.confidence === null ? null : h("p", {}, t("model.confidence", { confidence: model.confidence.toFixed(2), source: model.confidence_source })),
    model.weights_sha256 ? h("p", { class: "soft" }, t("model.weights", { sha256: model.weights_sha256.slice(0, 12) })) : null,
  ] : null);
}

function open(id) {
  byId(id).showModal();
}
