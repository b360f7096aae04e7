// Texts of the page, all from one file of static/lang. Another language is one more file there, and is offered at once.

const FALLBACK = "en";
const STORED = "nanoseg-bench.language";
const STATIC = document.documentElement.dataset.static;

let texts = {};
let plurals = new Intl.PluralRules(FALLBACK);

/** Languages that there are texts for. */
export const languages = (document.documentElement.dataset.languages || FALLBACK).split(" ").filter(Boolean);

/** The language in use. */
export let language = FALLBACK;

/** Load the texts of the chosen language, else of the browser's, and put them into the page. */
export async function loadLanguage() {
  const wished = [localStorage.getItem(STORED), ...navigator.languages].filter(Boolean);
  const known = wished.flatMap((each) => [each, each.split("-")[0]]).find((each) => languages.includes(each));
  language = known || FALLBACK;
  // What a newer version says, and a translation not yet, is said in English.
  const files = language === FALLBACK ? [FALLBACK] : [FALLBACK, language];
  const loaded = await Promise.all(files.map(async (name) => (await fetch(`${STATIC}lang/${name}.json`)).json()));
  texts = Object.assign({}, ...loaded);
  plurals = new Intl.PluralRules(language);
  document.documentElement.lang = language;
  translate(document);
}

/** Keep a choice, and start the page anew in that language. */
export function chooseLanguage(name) {
  localStorage.setItem(STORED, name);
  location.reload();
}

/** The text of a key; `{name}` stands for a value. Of texts with plural forms, `n` chooses. */
export function t(key, values = {}) {
  let text = texts[key];
  if (text === undefined) return key;
  if (typeof text === "object") text = text[plurals.select(values.n)] ?? text.other;
  return text.replaceAll(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

/** Whether there is a text. */
export const hasText = (key) => key in texts;

/** Names of languages, each in itself. */
export function languageName(code) {
  return new Intl.DisplayNames([code], { type: "language" }).of(code);
}

function translate(root) {
  for (const element of root.querySelectorAll("*")) {
    for (const { name, value } of [...element.attributes]) {
      if (name === "data-t") element.textContent = t(value);
      else if (name.startsWith("data-t-")) element.setAttribute(name.slice("data-t-".length), t(value));
    }
  }
}
