// Edits of the opened micrographs: shown at once, sent a moment later, with undo and redo of whole documents.

import * as api from "./api.js";
import { activeDetail, changed, state } from "./state.js";
import { noEdits } from "./edits.js";
import { t } from "./language.js";

const WAIT = 350; // ms after the last change
const AGAIN = 5000; // ms after which a server that was away is tried again
const entries = new Map(); // id -> as in entryOf

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
  entry.lost = [];
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

/** Change the scale; edits that wait go first, and those that are made meanwhile after it: both raise the revision. */
export async function changeScale(id, choice) {
  do await send(id); while (entries.get(id)?.sending);
  const entry = entries.get(id);
  if (entry && isWaiting(entry)) throw new Error(t("error.offline"));
  const detail = entry?.detail ?? (await api.get(`micrographs/${id}`));
  const answer = api.put(`micrographs/${id}/scale`, { revision: detail.revision, ...choice });
  if (entry) entry.sending = answer;
  try {
    const found = await answer;
    if (entry) entry.sending = null;
    takeDetail(found);
  } catch (error) {
    if (entry) entry.sending = null;
    if (entry && isPassing(error)) entry.lost.push(textOf(detail.edits));
    if (error.status === 409 && entry) await takeCurrent(id, entry);
    throw error;
  } finally {
    changed("saving");
  }
}

function entryOf(id) {
  if (!entries.has(id)) {
    entries.set(id, { edits: noEdits(), past: [], future: [], originals: new Map(), timer: 0, sending: null, unsent: false, away: false, lost: [], detail: null });
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
    await recover(id, entry, error, sent);
  }
  changed("saving");
  if (entry.unsent && !entry.away) await send(id);
}

/** Whether the same edits may be taken later: the server is away, was started anew, or has a trouble of its own. */
const isPassing = (error) => error.status === 0 || error.status === 403 || error.status === 429 || error.status >= 500;

async function recover(id, entry, error, sent) {
  if (isPassing(error)) {
    // Keep the edits, and try again. The server may have taken them, and only its answer was lost.
    entry.lost.push(textOf(sent));
    entry.unsent = entry.away = true;
    entry.timer = setTimeout(() => send(id), AGAIN);
    return report(error.message);
  }
  entry.away = false;
  if (error.status === 409 && entry.lost.length) {
    entry.sending = takeOwn(id, entry); // nothing is sent meanwhile, with a revision that is outdated
    entry.unsent = await entry.sending;
    entry.sending = null;
    if (entry.unsent) return;
  }
  report(error.status === 409 ? t("edit.conflict") : error.message);
  await takeCurrent(id, entry);
}

/** Whether what was faster is of this window, and only the answer was lost; then edits of since can be sent after it. */
async function takeOwn(id, entry) {
  const detail = await api.get(`micrographs/${id}`).catch(() => null);
  const own = detail?.revision === entry.detail.revision + 1 && entry.lost.includes(textOf(detail.edits));
  if (own) takeDetail(detail);
  return own;
}

/** A text that is the same for the same edits; the server leaves out what says nothing. */
const textOf = ({ removed, counted, changed: reshaped, labels, drawn }) =>
  JSON.stringify([removed, counted, reshaped, labels, drawn.map(({ outline, label = null, from = [] }) => [outline, label, from])]);

/** What the server has goes before what is on the screen. */
async function takeCurrent(id, entry) {
  entry.unsent = false;
  try {
    const detail = await api.get(`micrographs/${id}`);
    entry.detail = null;
    takeDetail(detail);
  } catch (later) {
    report(later.message);
  }
}
