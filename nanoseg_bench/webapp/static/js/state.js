// What the page knows. Modules change it and say what changed; others listen.

/** All of it. */
export const state = {
  about: null, // what GET /about said
  micrographs: [], // summaries in the order of upload
  uploads: [], // files on their way: {key, name, share, error}
  details: new Map(), // of micrographs that were opened, by id
  active: null, // id of the one that is shown
  excluded: new Set(), // ids of those that are kept out of the sample
  scope: "one", // what the statistics are of: the micrograph that is shown, or the sample
  filters: null, // as POST /sample/statistics takes them
  statistics: null, // its last answer
  selection: new Set(), // numbers of particles in the shown micrograph
  brush: null, // {text, has(micrograph, number)}: particles that a chart picked out
  line: null, // [x0, y0, x1, y1] that was drawn along a scale bar, and waits for its length
  showOutlines: true,
  showLeftOut: false,
};

const listeners = new Map();

/** Have `listener` called whenever `topic` changes. */
export function on(topics, listener) {
  for (const topic of topics.split(" ")) {
    if (!listeners.has(topic)) listeners.set(topic, []);
    listeners.get(topic).push(listener);
  }
}

/** Say that `topic` changed. */
export function changed(topic) {
  for (const listener of listeners.get(topic) ?? []) listener(topic);
}

/** Detail of the shown micrograph, or null. */
export const activeDetail = () => state.details.get(state.active) ?? null;

/** Summary of the shown micrograph, or null. */
export const activeSummary = () => state.micrographs.find((each) => each.id === state.active) ?? null;

/** Ids of the finished micrographs of the sample. */
export function sampleIds() {
  return state.micrographs.filter((each) => each.status === "done" && !state.excluded.has(each.id)).map((each) => each.id);
}

/** Ids of what the statistics are of. */
export function scopeIds() {
  if (state.scope === "all") return sampleIds();
  return activeSummary()?.status === "done" ? [state.active] : [];
}
