// Small question marks behind terms: a click, Enter or the pointer shows what the term means, Escape hides it.

import { byId, h } from "./dom.js";
import { hasText, t } from "./language.js";

let shown = null;

/** A question mark that explains; `key` is that of a text, or `text` is given. Null where there is nothing to say. */
export function hint(key, text = hasText(key) ? t(key) : "") {
  if (!text) return null;
  const button = h("button", {
    type: "button", class: "hint", "aria-label": `${t("hint")}: ${text}`,
    onclick: (event) => { event.preventDefault(); event.stopPropagation(); show(button, text); },
    onpointerenter: (event) => event.pointerType === "mouse" && show(button, text),
    onpointerleave: (event) => event.pointerType === "mouse" && hide(),
    onblur: hide,
  }, "?");
  return button;
}

/** The text of a key, with what `key.hint` says behind a question mark. */
export const hinted = (key, values) => withHint(t(key, values), hint(`${key}.hint`));

/** A text whose last word stays beside the question mark. */
export function withHint(text, mark) {
  if (!mark) return text;
  const at = text.lastIndexOf(" ") + 1;
  return [text.slice(0, at), h("span", { class: "together" }, text.slice(at), mark)];
}

function show(button, text) {
  shown = button;
  const bubble = byId("hint-bubble");
  bubble.textContent = text;
  bubble.hidden = false;
  const at = button.getBoundingClientRect();
  const width = bubble.offsetWidth;
  const left = Math.min(Math.max(at.left + at.width / 2 - width / 2, 8), innerWidth - width - 8);
  const below = at.bottom + 8 + bubble.offsetHeight < innerHeight;
  bubble.style.left = `${left}px`;
  bubble.style.top = `${below ? at.bottom + 8 : at.top - 8 - bubble.offsetHeight}px`;
}

/** Hide the explanation that is shown. */
function hide() {
  shown = null;
  byId("hint-bubble").hidden = true;
}

document.addEventListener("keydown", (event) => event.key === "Escape" && shown && hide());
document.addEventListener("scroll", hide, { passive: true });
