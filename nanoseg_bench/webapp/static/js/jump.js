// On small screens all stands in one column: a bar at the bottom leads to its parts, and says what the numbers are now.

import { activeDetail, activeSummary, on, state } from "./state.js";
import { byId } from "./dom.js";
import { length } from "./format.js";
import { t } from "./language.js";

const LOOKED_AT = "-20% 0px -60% 0px"; // of the screen: what lies across this strip is what a person looks at

/** Keep the bar up to date. */
export function startJump() {
  on("active", () => { byId("jump").hidden = !activeSummary(); });
  on("active statistics", drawFigures);
  on("active detail", drawScale);
  const links = new Map([...byId("jump").querySelectorAll("a")].map((link) => [byId(link.hash.slice(1)), link]));
  const seen = new Set();
  const observer = new IntersectionObserver((changes) => {
    for (const { target, isIntersecting } of changes) seen[isIntersecting ? "add" : "delete"](target);
    const now = [...links.keys()].find((section) => seen.has(section));
    for (const [section, link] of links) {
      if (section === now) link.setAttribute("aria-current", "location");
      else link.removeAttribute("aria-current");
    }
  }, { rootMargin: LOOKED_AT });
  for (const section of links.keys()) observer.observe(section);
}

function drawFigures() {
  const { statistics } = state;
  const median = statistics?.estimates.find((each) => each.name === "d50")?.value ?? null;
  const count = statistics ? t("count.particles", { n: statistics.count }) : t("stage.loading");
  byId("jump-figures").textContent = median === null ? count : t("jump.figures", { particles: count, size: `${length(median)} ${statistics.unit}` });
}

/** A scale that somebody has to look at is told without scrolling there. */
function drawScale() {
  const detail = activeDetail();
  const link = byId("jump-scale");
  const open = Boolean(detail) && !detail.scale?.used;
  link.classList.toggle("look", open);
  if (open) link.setAttribute("aria-label", t("jump.scale.look"));
  else link.removeAttribute("aria-label");
}
