// What the page says: read aloud only, or shown until it is dismissed.

import { byId, h, icon } from "./dom.js";
import { t } from "./language.js";

const SHOWN = 9000; // ms

/** Have a sentence read aloud by a screen reader. */
export function announce(text) {
  const place = byId("announcer");
  place.textContent = "";
  // The same sentence twice is a change, too.
  requestAnimationFrame(() => { place.textContent = text; });
}

/** Show what went wrong. */
export function complain(text) {
  const already = [...byId("alerts").children].find((each) => each.dataset.text === text);
  if (already) already.remove();
  const box = h("div", { class: "alert", data: { text } }, h("p", {}, text),
    h("button", { type: "button", class: "tool mini", "aria-label": t("close"), onclick: () => box.remove() }, icon("close")));
  byId("alerts").append(box);
  setTimeout(() => box.remove(), SHOWN);
}
