// Files in, and the strip of thumbnails with what becomes of each.

import * as api from "./api.js";
import { byId, h, icon, put } from "./dom.js";
import { activeSummary, changed, on, state } from "./state.js";
import { announce, complain } from "./messages.js";
import { forget } from "./saving.js";
import { length } from "./format.js";
import { t } from "./language.js";

const POLL = 900; // ms, while something is waited for
// Of a folder, what is surely no micrograph is not sent; single files are all sent, and the server says what it takes.
const IMAGES = /\.(png|jpe?g|tiff?|bmp|webp|gif|dm3|dm4|emd)$/i;
const TEXTS = /\.(txt|hdr)$/i; // what a microscope writes beside an image goes along with it

const EXCLUDED = "nanoseg-bench.excluded"; // in this browser alone: a sample stays as it was chosen when the page is loaded anew

const ACTIVE = "nanoseg-bench.active"; // in this tab alone

let polling = 0;
let asked = 0; // lists that were asked for
const waiting = []; // files with their cards
let sending = false;

/** Wire the drop zone and the buttons. */
export function startUploads() {
  const [files, folder] = [byId("files"), byId("folder")];
  byId("choose-files").addEventListener("click", () => files.click());
  byId("choose-folder").addEventListener("click", () => folder.click());
  byId("choose-example").addEventListener("click", openExample);
  files.addEventListener("change", () => take([...files.files].map((file) => ({ file, name: file.name })), files));
  folder.addEventListener("change", () => take(ofFolder([...folder.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }))), folder));
  listenForDrops();
  state.excluded = new Set(JSON.parse(localStorage.getItem(EXCLUDED) ?? "[]"));
  on("excluded", () => localStorage.setItem(EXCLUDED, JSON.stringify([...state.excluded])));
  on("micrographs uploads excluded active", drawStrip);
}

/** The list of the session, and again as long as something is waited for. */
export async function poll() {
  clearTimeout(polling);
  const mine = ++asked;
  const before = state.micrographs;
  try {
    const { micrographs } = await api.get("micrographs");
    if (mine !== asked) return; // a later question is on its way, and knows more
    if (state.micrographs !== before) return poll(); // and so does the page: of an upload, an edit, a deletion
    tellChanges(before, micrographs);
    state.micrographs = micrographs;
    changed("micrographs");
  } catch (error) {
    complain(error.message);
  }
  if (state.micrographs.some(isUnderway) || sending) polling = setTimeout(poll, POLL);
}

const isUnderway = (each) => each.status === "queued" || each.status === "running";

async function openExample() {
  try {
    const summary = await api.post("micrographs/example");
    state.micrographs = [...state.micrographs, summary];
    changed("micrographs");
    poll();
  } catch (error) {
    complain(error.message);
  }
}

function ofFolder(found) {
  const images = found.filter(({ name }) => IMAGES.test(name) && !name.split("/").some((part) => part.startsWith(".")));
  const texts = found.filter((text) => images.some((image) => isBeside(text, image)));
  const skipped = found.length - images.length - texts.length;
  if (!images.length) complain(t("add.none"));
  else if (skipped) announce(t("add.skipped", { n: skipped }));
  return [...images, ...texts];
}

/** Whether a microscope calls what it writes beside this image so: a.txt, a.hdr or a-tif.hdr. */
function isBeside({ name: text }, { name: image }) {
  if (!TEXTS.test(text) || TEXTS.test(image)) return false;
  const [, stem, suffix] = /^(.*?)\.?([^.]*)$/s.exec(image.toLowerCase());
  return [".txt", ".hdr", `-${suffix}.hdr`].some((ending) => text.toLowerCase() === stem + ending);
}

function take(found, input = null) {
  for (const each of found.filter((text) => !found.some((image) => isBeside(text, image)))) {
    const entry = { key: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, name: each.name, share: 0, error: null };
    state.uploads.push(entry);
    waiting.push({ files: [each, ...found.filter((text) => isBeside(text, each))], entry });
  }
  if (input) input.value = "";
  changed("uploads");
  launch();
}

/** One after the other: the list keeps the order of the folder. */
async function launch() {
  if (sending) return;
  sending = true;
  while (waiting.length) {
    const { files, entry } = waiting.shift();
    await send(files, entry);
  }
  sending = false;
}

async function send(files, entry) {
  const most = state.about?.limits.file_bytes;
  try {
    if (most && files[0].file.size > most) throw new Error(t("add.large", { name: entry.name, most: Math.round(most / 2 ** 20) }));
    const answer = await api.upload(files, (share) => {
      entry.share = share;
      byId(`upload-${entry.key}`)?.setAttribute("value", share);
    });
    const refused = answer.refused[0];
    if (refused) throw new Error(refused.error);
    state.uploads = state.uploads.filter((each) => each !== entry);
    state.micrographs = [...state.micrographs, ...answer.micrographs];
    changed("micrographs");
    clearTimeout(polling);
    polling = setTimeout(poll, 200);
  } catch (error) {
    entry.error = error.message;
    announce(`${entry.name}: ${error.message}`);
  }
  changed("uploads");
}

function tellChanges(before, after) {
  const earlier = new Map(before.map((each) => [each.id, each.status]));
  for (const each of after) {
    if (!earlier.has(each.id) || earlier.get(each.id) === each.status) continue;
    if (each.status === "done") announce(t("images.done", { name: each.name, particles: t("count.particles", { n: each.particles ?? 0 }) }));
    if (each.status === "failed") announce(t("images.failed", { name: each.name, reason: each.reason ?? "" }));
  }
}

// --- the strip

const cards = new Map();

function drawStrip() {
  const some = state.micrographs.length + state.uploads.length > 0;
  byId("intake").classList.toggle("small", some);
  byId("add-heading").textContent = t(some ? "add.more" : "add.heading");
  byId("steps").hidden = some;
  byId("images").hidden = !some;
  const items = [
    ...state.micrographs.map((each) => card(each.id, contentOf(each), each)),
    ...state.uploads.map((each) => card(each.key, JSON.stringify([each.name, each.error]), each)),
  ];
  const present = new Set(items.map((each) => each.dataset.key));
  for (const key of cards.keys()) if (!present.has(key)) cards.delete(key);
  // Replacing all would take the focus from the button that has it.
  const strip = byId("strip");
  items.forEach((item, i) => { if (strip.children[i] !== item) strip.insertBefore(item, strip.children[i] ?? null); });
  while (strip.children.length > items.length) strip.lastChild.remove();
  drawProgress(items);
}

/** How far all of them are, and what failed: with many images, its card may lie where nobody looks. */
function drawProgress(items) {
  const pending = state.micrographs.filter(isUnderway).length + state.uploads.filter((each) => !each.error).length;
  const failed = items.filter((each) => each.classList.contains("failed"));
  const place = byId("progress");
  const content = JSON.stringify([items.length, pending, failed.length]);
  if (place.dataset.content === content) return;
  place.dataset.content = content;
  place.hidden = items.length < 2 || !(pending || failed.length);
  put(place,
    pending ? h("span", {}, t("images.progress", { done: items.length - pending - failed.length, n: items.length })) : null,
    failed.length ? h("button", { type: "button", class: "link small", id: "show-failed", onclick: showFailed }, t("images.progress.failed", { n: failed.length })) : null);
}

function showFailed() {
  const card = byId("strip").querySelector(".item.failed");
  card?.scrollIntoView({ inline: "start", block: "nearest" });
  card?.querySelector(".acts button")?.focus({ preventScroll: true });
}

const contentOf = (each) => JSON.stringify([each, state.active === each.id, state.excluded.has(each.id), state.micrographs.length > 1]);

/** A card of the strip; the one that there is, as long as it says the same. */
function card(key, content, each) {
  const known = cards.get(key);
  if (known?.content === content) return known.element;
  const focus = known?.element.contains(document.activeElement) ? document.activeElement.dataset.act : null;
  const element = "share" in each ? uploadCard(each) : micrographCard(each);
  element.dataset.key = key;
  cards.set(key, { content, element });
  if (known) known.element.replaceWith(element);
  if (focus) element.querySelector(`[data-act="${focus}"]`)?.focus();
  return element;
}

function micrographCard(each) {
  const done = each.status === "done";
  const active = state.active === each.id;
  const picture = done
    ? h("img", { src: api.address(`micrographs/${each.id}/thumbnail.png`), alt: "", loading: "lazy", draggable: "false" })
    : h("span", { class: `state ${each.status}`, "aria-hidden": "true" }, each.status === "running" ? h("span", { class: "wait-ring" }) : null);
  const open = h("button", {
    type: "button", class: "open", data: { act: "open" }, "aria-current": active ? "true" : null, disabled: !done,
    title: each.name, onclick: () => activate(each.id),
  }, h("span", { class: "thumb" }, picture), h("span", { class: "name" }, baseName(each.name)), h("span", { class: `told ${each.status}` }, tellState(each)));
  return h("li", { class: `item ${each.status}${active ? " active" : ""}`, "aria-label": each.name },
    open,
    h("div", { class: "acts" },
      done && state.micrographs.length > 1 ? h("label", { class: "in-sample", title: t("images.in-sample.title") },
        h("input", { type: "checkbox", data: { act: "sample" }, checked: !state.excluded.has(each.id), "aria-label": t("images.in-sample.of", { name: each.name }), onchange: (event) => keep(each.id, event.target.checked) }), t("images.in-sample")) : null,
      each.status === "failed" || each.status === "cancelled" ? act("retry", "retry", t("images.retry", { name: each.name }), () => retry(each.id)) : null,
      act("remove", "close", t(isUnderway(each) ? "images.cancel" : "images.remove", { name: each.name }), () => drop(each))));
}

function uploadCard(each) {
  return h("li", { class: `item ${each.error ? "failed" : "uploading"}`, "aria-label": each.name },
    h("div", { class: "open" }, h("span", { class: "thumb" }, h("span", { class: "state" })), h("span", { class: "name", title: each.name }, baseName(each.name)),
      each.error ? h("span", { class: "told failed" }, each.error) : h("progress", { id: `upload-${each.key}`, max: "1", value: each.share, "aria-label": t("images.uploading", { name: each.name }) })),
    h("div", { class: "acts" }, each.error ? act("dismiss", "close", t("images.dismiss", { name: each.name }), () => { state.uploads = state.uploads.filter((other) => other !== each); changed("uploads"); }) : null));
}

const baseName = (name) => name.split("/").at(-1);

function act(name, symbol, label, action) {
  return h("button", { type: "button", class: "tool mini", data: { act: name }, title: label, "aria-label": label, onclick: action }, icon(symbol));
}

function tellState(each) {
  if (each.status === "queued") return each.position > 1 ? t("images.waiting", { n: each.position - 1 }) : t("images.next");
  if (each.status === "running") return t("images.running");
  if (each.status === "failed") return each.reason || t("images.failed.short");
  if (each.status === "cancelled") return t("images.cancelled");
  const found = t("count.particles", { n: each.particles ?? 0 });
  return each.d50 === null ? found : `${found} · ${length(each.d50)} ${each.unit}`;
}

/** Show a micrograph; it is shown again when the page is loaded anew. */
export function activate(id) {
  if (state.active === id) return;
  state.active = id;
  sessionStorage.setItem(ACTIVE, id);
  state.selection = new Set();
  state.brush = null;
  changed("active");
  const strip = byId("strip");
  const item = cards.get(id)?.element;
  if (item) strip.scrollLeft = Math.min(Math.max(strip.scrollLeft, item.offsetLeft + item.offsetWidth - strip.clientWidth), item.offsetLeft);
}

/** One that is done is shown as long as none is: the one that was, before the page was loaded anew, or the first. */
export function openFirst() {
  if (activeSummary()) return;
  const done = state.micrographs.filter((each) => each.status === "done");
  const first = done.find((each) => each.id === sessionStorage.getItem(ACTIVE)) ?? done[0];
  if (first) activate(first.id);
  else if (state.active) { // it is gone, and none is left
    state.active = null;
    changed("active");
  }
}

function keep(id, kept) {
  if (kept) state.excluded.delete(id);
  else state.excluded.add(id);
  changed("excluded");
}

async function retry(id) {
  try {
    const summary = await api.post(`micrographs/${id}/retry`);
    state.micrographs = state.micrographs.map((each) => (each.id === id ? summary : each));
    changed("micrographs");
    poll();
  } catch (error) {
    complain(error.message);
  }
}

async function drop(each) {
  if (each.edited && !confirm(t("images.remove.sure", { name: each.name }))) return;
  try {
    await api.remove(`micrographs/${each.id}`);
  } catch (error) {
    if (error.status !== 404) return complain(error.message);
  }
  if (isUnderway(each)) return poll(); // cancelled, it stays: it may be tried again, or deleted then
  forget(each.id);
  keep(each.id, true);
  const at = state.micrographs.findIndex((other) => other.id === each.id);
  state.micrographs = state.micrographs.filter((other) => other.id !== each.id);
  announce(t("images.removed", { name: each.name }));
  if (state.active === each.id) {
    state.active = null;
    const done = state.micrographs.filter((other) => other.status === "done");
    const next = state.micrographs.slice(at).find((other) => other.status === "done") ?? done.at(-1);
    if (next) activate(next.id);
    else changed("active");
  }
  changed("micrographs");
  (byId("strip").querySelector(".open[aria-current], .open") ?? byId("choose-files")).focus();
}

// --- dropping

function listenForDrops() {
  const zone = byId("drop");
  let depth = 0;
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  addEventListener("dragenter", (event) => { if (carriesFiles(event)) { depth += 1; document.body.classList.add("dropping"); } });
  addEventListener("dragleave", (event) => { if (carriesFiles(event) && (depth -= 1) <= 0) stop(); });
  addEventListener("dragover", (event) => carriesFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    stop();
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const folders = entries.some((entry) => entry.isDirectory);
    const found = entries.length ? (await Promise.all(entries.map((entry) => walk(entry)))).flat() : [...event.dataTransfer.files].map((file) => ({ file, name: file.name }));
    take(folders ? ofFolder(found) : found);
  });
  function stop() {
    depth = 0;
    document.body.classList.remove("dropping");
  }
  zone.classList.add("ready");
}

async function walk(entry, path = "") {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    return [{ file, name: path + entry.name }];
  }
  const reader = entry.createReader();
  const found = [];
  // A reader gives at most a hundred entries at a time.
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) break;
    found.push(...some);
  }
  found.sort((one, other) => one.name.localeCompare(other.name, undefined, { numeric: true }));
  return (await Promise.all(found.map((each) => walk(each, `${path}${entry.name}/`)))).flat();
}
