// One click for each file; what it is of is what the numbers above are of.

import { activeSummary, on, scopeIds, state } from "./state.js";
import { announce, complain } from "./messages.js";
import { byId, h, icon, put } from "./dom.js";
import { exportSample } from "./sample.js";
import { hinted } from "./hints.js";
import { hasText, t } from "./language.js";

const OPERATOR = "nanoseg-bench.operator";
const FIRST = "word";

/** Build the panel. */
export function startDownloads() {
  const formats = state.about.export_formats;
  const main = formats.find((each) => each.id === FIRST) ?? formats[0];
  put(byId("downloads-body"),
    h("p", { class: "soft", id: "download-what" }),
    h("div", { class: "pair" },
      h("div", { class: "field" }, h("label", { for: "sample-name" }, hinted("downloads.sample")), h("input", { id: "sample-name", type: "text", maxlength: 100, autocomplete: "off" })),
      h("div", { class: "field" }, h("label", { for: "operator" }, hinted("downloads.operator")), h("input", { id: "operator", type: "text", maxlength: 100, autocomplete: "name", value: localStorage.getItem(OPERATOR) ?? "", onchange: (event) => localStorage.setItem(OPERATOR, event.target.value) }))),
    button(main, true),
    h("div", { class: "formats" }, formats.filter((each) => each !== main).map((each) => button(each, false))));
  // What most people come for need not be looked for.
  const now = button(main, true);
  now.id = "report-now-button";
  put(byId("report-now"), now);
  on("statistics active scope micrographs", () => {
    const none = !scopeIds().length;
    for (const each of document.querySelectorAll("button[data-format]")) each.disabled = none;
    byId("download-what").textContent = state.scope === "all" ? t("downloads.all", { n: scopeIds().length }) : t("downloads.one", { name: activeSummary()?.name ?? "" });
  });
}

function button(format, main) {
  const key = `downloads.${format.id}`;
  const text = hasText(key) ? t(key) : format.heading;
  return h("button", {
    type: "button", class: main ? "primary wide" : "small", id: `download-${format.id}`, data: { format: format.id },
    title: hasText(`${key}.title`) ? t(`${key}.title`) : format.heading, onclick: (event) => fetchFile(format, event.currentTarget),
  }, icon(main ? "word" : "download"), h("span", {}, text));
}

async function fetchFile(format, pressed) {
  if (pressed.getAttribute("aria-busy") === "true") return;
  pressed.setAttribute("aria-busy", "true");
  announce(t("downloads.making", { what: format.heading }));
  try {
    const name = await exportSample(format.id, { operator: byId("operator").value.trim(), sample: byId("sample-name").value.trim() });
    announce(t("downloads.done", { name }));
  } catch (error) {
    complain(error.message);
  }
  pressed.removeAttribute("aria-busy");
}
