// The particles of the shown micrograph as they are on the screen: what the server said, and what was edited since.

import { activeDetail, state } from "./state.js";
import { boxOf, ringArea } from "./geometry.js";
import { currentEdits, modelCount, outlineOf } from "./saving.js";
import { t } from "./language.js";

export const GROUP_COLOURS = 8;

/** Group of what has no name, as in report/grouping.py. */
export const UNNAMED = "particle";

/** Whether the numbers are of a sample that a micrograph is kept out of. */
export const isNotPooled = (id = state.active) => state.scope === "all" && state.excluded.has(id);

/** The reason why a particle does not count, or null. */
export function exclusionOf(number, id = state.active) {
  if (isNotPooled(id)) return t("particle.not-pooled");
  return state.statistics?.exclusions?.[id]?.[number] ?? null;
}

/** The name of a particle's group: its class, or the name of its shape. */
export function groupOf(particle) {
  return (state.statistics?.groups_from === "class" ? particle.label : particle.shape) ?? UNNAMED;
}

/** Names of the groups in the order of their colours. */
export const groupNames = () => groupsShown().map((each) => each.name);

/** Those of them that any particle is of, whether it counts or not. */
export const foundGroupNames = () => groupsShown().filter((each) => each.found).map((each) => each.name);

const groupsShown = () => (state.statistics?.groups ?? []).filter((each) => each.name !== "all");

/** All particles: those of the server with newer edits, and those that were drawn a moment ago. */
export function currentParticles(detail = activeDetail()) {
  if (!detail) return [];
  const edits = currentEdits();
  const models = modelCount(detail);
  const known = new Map(detail.outlines.map((each) => [each.number, each]));
  const removed = new Set(edits.removed);
  const particles = detail.outlines.filter((each) => each.number <= models || each.number - models <= edits.drawn.length);
  edits.drawn.forEach((drawn, i) => {
    const number = models + i + 1;
    if (known.has(number)) return;
    particles.push({ number, origin: "drawn", label: drawn.label, shape: null, confidence: null, outline: drawn.outline, on_mark: false, values: {} });
  });
  return particles.map((each) => {
    const outline = outlineOf(detail, each) ?? each.outline;
    const label = each.number > models ? each.label : edits.labels[each.number] ?? each.label;
    return { ...each, outline, label, removed: removed.has(each.number), area: areaOf(outline) };
  });
}

/** `removed`, `unsure` (below the confidence), `out` (left out for another reason), or `in`. */
export function standingOf(particle) {
  if (particle.removed) return "removed";
  const least = state.filters?.confidence;
  if (particle.confidence !== null && least !== null && least !== undefined && particle.confidence < least) return "unsure";
  return exclusionOf(particle.number) ? "out" : "in";
}

/** Whether it is drawn. */
export function isShown(particle, standing = standingOf(particle)) {
  if (state.selection.has(particle.number)) return true;
  if (standing === "removed" || standing === "unsure") return state.showLeftOut;
  return state.showOutlines;
}

const areas = new WeakMap();

function areaOf(outline) {
  if (!areas.has(outline)) areas.set(outline, outline.reduce((sum, [ring]) => sum + ringArea(ring), 0));
  return areas.get(outline);
}

/** Bounding box of a particle. */
export const boxOfParticle = (particle) => boxOf(particle.outline);
