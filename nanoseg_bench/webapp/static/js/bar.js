// The scale bar as it was found or drawn, over the micrograph.

import { svg } from "./dom.js";
import { t } from "./language.js";

/** The length that a bar stands for; empty where it is not known. Only of a scale by the bar is the text the bar's. */
export function textOfBar({ source, text, value_nm: length }) {
  if (source === "scale-bar" || source === "line") return text;
  return length === null ? "" : `${Number(length.toPrecision(6))} nm`;
}

/** SVG of a bar with its text; nothing where there is none. */
export function drawBar(viewer, scale) {
  if (!scale?.bar) return [];
  const [x0, y0, x1, y1] = scale.bar;
  const long = Math.hypot(x1 - x0, y1 - y0) || 1;
  const tick = viewer.px(7);
  const [nx, ny] = [(-(y1 - y0) / long) * tick, ((x1 - x0) / long) * tick];
  const d = `M${x0} ${y0}L${x1} ${y1}M${x0 - nx} ${y0 - ny}L${x0 + nx} ${y0 + ny}M${x1 - nx} ${y1 - ny}L${x1 + nx} ${y1 + ny}`;
  const words = textOfBar(scale) || t("scale.bar");
  const size = viewer.px(13);
  // Beside the bar: its own text stands above or below it.
  const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
  const room = viewer.size.width - right > viewer.px(90);
  const place = { x: room ? right + viewer.px(11) : left - viewer.px(11), y: (y0 + y1) / 2 + 0.35 * size, "text-anchor": room ? "start" : "end" };
  const text = (className) => svg("text", { class: className, "font-size": size, "stroke-width": viewer.px(3.5), ...place }, words);
  return [
    svg("path", { class: "bar-rim", d, "stroke-width": viewer.px(5) }),
    svg("path", { class: scale.used ? "bar" : "bar asked", d, "stroke-width": viewer.px(2) }),
    text("bar-text rim"), text("bar-text"),
  ];
}
