// Statistics of what is looked at, asked of the server: at once without intervals, and with them when nothing moves.

import * as api from "./api.js";
import { changed, on, scopeIds, state } from "./state.js";
import { debounced } from "./dom.js";
import { flush } from "./saving.js";
import { poll } from "./uploads.js";

const REST = 450; // ms without a change, after which intervals are asked for

// Two at once at most, one of each kind: intervals take the server a second or more, and must not hold up the rest.
const quick = { intervals: false, running: false, wanted: false };
const thorough = { intervals: true, running: false, wanted: false };
let version = 0; // of what is asked for
let askedOf = ""; // ids of the micrographs that it is of
let shown = { version: 0, intervals: false };

/** Called with sentences for a person. */
let report = () => {};
export const onTrouble = (listener) => { report = listener; };

const settle = debounced(() => ask(thorough), REST);

/** Numbers for what is chosen now; intervals follow when the user rests. */
function refreshStatistics() {
  version += 1;
  askedOf = String(scopeIds());
  tellStale();
  ask(quick);
  settle();
}

/** Numbers of something else than what is chosen are shown as such. */
function tellStale() {
  const stale = state.statistics !== null && String(state.statistics.of) !== String(scopeIds());
  document.body.classList.toggle("stale", stale);
}

async function ask(kind) {
  kind.wanted = true;
  if (kind.running) return;
  kind.running = true;
  while (kind.wanted) {
    kind.wanted = false;
    await answer(kind.intervals);
  }
  kind.running = false;
}

async function answer(intervals) {
  const mine = version;
  const micrographs = scopeIds();
  let found = null;
  try {
    if (micrographs.length) found = await api.post("sample/statistics", { micrographs, filters: applying(micrographs), intervals });
  } catch (error) {
    // What was deleted meanwhile is no trouble: the list tells what is left, and the numbers follow it.
    if (error.status === 404) poll();
    else report(error.message);
    return;
  }
  const newer = mine > shown.version || (mine === shown.version && (intervals || !shown.intervals));
  // Numbers may lag behind a slider that moves; intervals are shown of what is chosen now.
  if (!newer || (intervals && mine !== version)) return;
  shown = { version: mine, intervals };
  state.statistics = found && { ...found, of: micrographs, intervals };
  tellStale();
  changed("statistics");
}

/** A file of what is chosen now. */
export async function exportSample(format, { operator, sample }) {
  await flush();
  const micrographs = scopeIds();
  return api.download("sample/export", { micrographs, filters: applying(micrographs), format, operator, sample });
}

/** The filters without limits in nm, where nothing has a scale that they could be compared with. */
function applying(micrographs) {
  const scaled = state.micrographs.some((each) => micrographs.includes(each.id) && each.nm_per_px !== null);
  const fits = (limit) => (limit?.unit === "nm" && !scaled ? null : limit);
  const { min_diameter, max_diameter } = state.filters;
  return { ...state.filters, min_diameter: fits(min_diameter), max_diameter: fits(max_diameter) };
}

/** The filters that apply by themselves. */
export const ownFilters = () => ({
  confidence: state.about?.model?.confidence ?? null,
  min_diameter: null,
  max_diameter: null,
  border: state.about?.borders[0] ?? "weight",
  classes: null,
  keep_marks: false,
});

/** Change filters, and have the statistics follow. */
export function setFilters(some) {
  state.filters = { ...state.filters, ...some };
  changed("filters");
  refreshStatistics();
}

on("active scope detail excluded", refreshStatistics);
on("micrographs", () => { if (String(scopeIds()) !== askedOf) refreshStatistics(); });
