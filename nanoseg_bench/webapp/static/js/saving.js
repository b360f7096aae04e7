// Edits of the opened micrographs: shown at once, sent a moment later, with undo and redo of whole documents.

import * as api from "./api.js";
import { activeDetail, changed, state } from "./state.js";
import { noEdits } from "./edits.js";
import { t } from "./language.js";

const WAIT = 350; // ms after the last change
const AGAIN = 5000; // ms after which a server that was away is tried again
const entries = new Map(); // id -> {edits, past, future, originals, timer, sending, told}

/** Called with sentences for a person. */
export let report = () => {};

/** Have failures told by `listener`. */
export const onTrouble = (listener) => { report = listener; };

/** Take over what the server says of a micrograph. */
export function takeDetail(detail) {
  const entry = entryOf(detail.id);
  const fresh = !entry.detail;
  const edits = { ...noEdits(), ...detail.edits };
  entry.detail = detail;
  state.details.set(detail.id, detail);
  const { outlines, edits: _, scale, warnings, ...summary } = detail;
  state.micrographs = state.micrographs.map((each) => (each.id === detail.id ? { ...each, ...summary } : each));
  for (const particle of detail.outlines) {
    // The outline as the model has it: what undo of a change shows again, before the server answers.
    if (!(particle.number in edits.changed)) entry.originals.set(particle.number, particle.outline);
  }
  if (fresh || !isWaiting(entry)) entry.edits = edits;
  if (fresh) entry.past = entry.future = [];
  changed("micrographs");
  changed("detail");
}

/** Forget a micrograph. */
export function forget(id) {
  clearTimeout(entries.get(id)?.timer);
  entries.delete(id);
  state.details.delete(id);
}

/** The edits of the shown micrograph as they are on the screen. */
export const currentEdits = () => entries.get(state.active)?.edits ?? noEdits();

/** How many outlines are the model's. */
export function modelCount(detail = activeDetail()) {
  return detail ? detail.outlines.filter((each) => each.origin !== "drawn").length : 0;
}

/** An outline as it is on the screen; undefined where only the server knows it. */
export function outlineOf(detail, particle) {
  const entry = entries.get(detail.id);
  const models = modelCount(detail);
  if (particle.number > models) return entry.edits.drawn[particle.number - models - 1]?.outline;
  return entry.edits.changed[particle.number] ?? entry.originals.get(particle.number) ?? particle.outline;
}

/** Change the edits of the shown micrograph; undo comes back to what they were. */
export function commit(edits) {
  const entry = entries.get(state.active);
  if (!entry) return;
  entry.past = [...entry.past, entry.edits];
  entry.future = [];
  show(entry, edits);
}

export const canUndo = () => Boolean(entries.get(state.active)?.past.length);
export const canRedo = () => Boolean(entries.get(state.active)?.future.length);

/** One step back. */
export function undo() {
  const entry = entries.get(state.active);
  if (!entry?.past.length) return false;
  entry.future = [entry.edits, ...entry.future];
  const edits = entry.past.at(-1);
  entry.past = entry.past.slice(0, -1);
  show(entry, edits);
  return true;
}

/** One step forward again. */
export function redo() {
  const entry = entries.get(state.active);
  if (!entry?.future.length) return false;
  entry.past = [...entry.past, entry.edits];
  const [edits, ...rest] = entry.future;
  entry.future = rest;
  show(entry, edits);
  return true;
}

/** Whether something has not reached the server yet. */
export const isUnsaved = () => [...entries.values()].some(isWaiting);

/** Have all edits sent; resolves when the server has them, and is rejected when it cannot be reached. */
export async function flush() {
  await Promise.all([...entries.keys()].map((id) => send(id)));
  if (isUnsaved()) throw new Error(t("error.offline"));
}

/** Change the scale; edits that wait go first, since both raise the revision. */
export async function changeScale(id, choice) {
  await send(id);
  const entry = entries.get(id);
  if (entry && isWaiting(entry)) throw new Error(t("error.offline"));
  const detail = entry?.detail ?? (await api.get(`micrographs/${id}`));
  try {
    takeDetail(await api.put(`micrographs/${id}/scale`, { revision: detail.revision, ...choice }));
  } catch (error) {
    if (error.status === 409 && entry) await takeCurrent(id, entry);
    throw error;
  }
}

function entryOf(id) {
  if (!entries.has(id)) {
    entries.set(id, { edits: noEdits(), past: [], future: [], originals: new Map(), timer: 0, sending: null, unsent: false, away: false, detail: null });
  }
  return entries.get(id);
}

const isWaiting = (entry) => entry.unsent || entry.sending !== null;

function show(entry, edits) {
  entry.edits = edits;
  entry.unsent = true;
  clearTimeout(entry.timer);
  entry.timer = setTimeout(() => send(entry.detail.id), WAIT);
  changed("edits");
}

async function send(id) {
  const entry = entries.get(id);
  if (!entry) return;
  clearTimeout(entry.timer);
  if (entry.sending) {
    await entry.sending.catch(() => {}); // who sent it tells
    return send(id);
  }
  if (!entry.unsent) return;
  entry.unsent = false;
  const sent = entry.edits;
  entry.sending = api.put(`micrographs/${id}/edits`, { revision: entry.detail.revision, edits: sent });
  changed("saving");
  try {
    const detail = await entry.sending;
    entry.sending = null;
    entry.away = false;
    takeDetail(detail);
  } catch (error) {
    entry.sending = null;
    await recover(id, entry, error);
  }
  changed("saving");
  if (entry.unsent && !entry.away) await send(id);
}

/** Whether the same edits may be taken later: the server is away, was started anew, or has a trouble of its own. */
const isPassing = (error) => error.status === 0 || error.status === 403 || error.status === 429 || error.status >= 500;

async function recover(id, entry, error) {
  if (isPassing(error)) {
    // Keep the edits, and try again.
    entry.unsent = entry.away = true;
    entry.timer = setTimeout(() => send(id), AGAIN);
    return report(error.message);
  }
  entry.away = false;
  report(error.status === 409 ? t("edit.conflict") : error.message);
  entry.unsent = false;
  await takeCurrent(id, entry);
}

/** What the server has goes before what is on the screen. */
async function takeCurrent(id, entry) {
  try {
    const detail = await api.get(`micrographs/${id}`);
    entry.detail = null;
    takeDetail(detail);
  } catch (later) {
    report(later.message);
  }
}
