// What the pointer and the keys do to the micrograph: one class for each tool.
//
// A tool has: name; pans, whether dragging pans; points, whether the arrow keys move a crosshair that Space clicks with;
// down, drag, drop, click, twice, hover, key for events; draw, the SVG over the outlines; enter, leave.

import { boxOf, distance, ringArea, simplifyRing } from "./geometry.js";
import { svg } from "./dom.js";

const GRIP = 5; // px, radius of a corner
const REACH = 12; // px within which a corner is taken
const CLOSE = 11; // px from the first corner that close an outline
const SMOOTH = 0.6; // px that a line drawn by hand may be smoothed by
const FREEHAND_STEP = 2.5; // px between points of it

const along = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("");
const rounded = (points) => points.map(([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100]);

function line(viewer, points, closed = false) {
  if (points.length < 2) return [];
  const d = along(points) + (closed ? "Z" : "");
  return [
    svg("path", { class: "sketch-rim", d, "stroke-width": viewer.px(4.5) }),
    svg("path", { class: closed ? "sketch closed" : "sketch", d, "stroke-width": viewer.px(2) }),
  ];
}

function grip(viewer, [x, y], kind = "") {
  const radius = viewer.px(kind === "between" ? GRIP * 0.6 : GRIP);
  return svg("circle", { class: `grip ${kind}`, cx: x, cy: y, r: radius, "stroke-width": viewer.px(1.5) });
}

/** Select, several with Shift; drag to pan, Shift and drag for a box. */
export class SelectTool {
  name = "select";
  pans = true;

  /** @param picked (numbers, keep) is called with what was hit. */
  constructor(viewer, { picked, step }) {
    Object.assign(this, { viewer, picked, step });
  }

  click(point, event, number) {
    this.picked(number === null ? [] : [number], event.shiftKey || event.ctrlKey || event.metaKey);
  }

  drag(point, event, drag) {
    const host = this.viewer.host.getBoundingClientRect();
    const { band } = this.viewer;
    band.hidden = false;
    band.style.left = `${Math.min(event.clientX, drag.x) - host.left}px`;
    band.style.top = `${Math.min(event.clientY, drag.y) - host.top}px`;
    band.style.width = `${Math.abs(event.clientX - drag.x)}px`;
    band.style.height = `${Math.abs(event.clientY - drag.y)}px`;
  }

  drop(point, event, drag) {
    this.viewer.band.hidden = true;
    const [left, right] = [drag.point[0], point[0]].sort((one, other) => one - other);
    const [top, bottom] = [drag.point[1], point[1]].sort((one, other) => one - other);
    const inside = [];
    for (const [number, { outline, classes }] of this.viewer.paths) {
      if (classes.includes("gone")) continue;
      const box = boxOf(outline);
      if (box[0] >= left && box[2] <= right && box[1] >= top && box[3] <= bottom) inside.push(number);
    }
    this.picked(inside, true);
  }

  cancelDrag() {
    this.viewer.band.hidden = true;
  }

  key(event) {
    if (event.key === "n" || event.key === "N") return this.step(1, event.shiftKey), true;
    if (event.key === "p" || event.key === "P") return this.step(-1, event.shiftKey), true;
    return false;
  }
}

/** Draw an outline: corner by corner, or in one stroke. */
export class DrawTool {
  name = "draw";
  points = true;

  /** @param drawn is called with the ring. */
  constructor(viewer, { drawn }) {
    Object.assign(this, { viewer, drawn, ring: [], at: null, stroke: null });
  }

  enter() {
    this.ring = [];
    this.at = this.stroke = null;
  }

  leave() {
    this.enter();
  }

  down(point) {
    this.stroke = this.ring.length ? null : [point];
  }

  drag(point) {
    const stroke = this.stroke;
    if (stroke && distance(stroke.at(-1), point) >= this.viewer.px(FREEHAND_STEP)) stroke.push(point);
    this.at = stroke ? null : point;
    this.viewer.refresh();
  }

  drop(point) {
    const stroke = this.stroke;
    this.stroke = null;
    if (!stroke) return this.click(point);
    if (stroke.length > 5) this.#finish(simplifyRing(stroke, Math.min(this.viewer.px(1), SMOOTH)));
    else this.viewer.refresh();
  }

  cancelDrag() {
    this.stroke = null;
    this.viewer.refresh();
  }

  click(point) {
    this.stroke = null;
    const ring = this.ring;
    if (ring.length > 2 && distance(point, ring[0]) < this.viewer.px(CLOSE)) return this.#finish(ring);
    if (ring.length && distance(point, ring.at(-1)) < this.viewer.px(2)) return;
    ring.push(point);
    this.viewer.refresh();
  }

  twice() {
    if (this.ring.length > 2) this.#finish(this.ring);
  }

  hover(point) {
    this.at = point;
    if (this.ring.length) this.viewer.refresh();
  }

  key(event) {
    if (event.key === "Escape" && (this.ring.length || this.stroke)) this.enter();
    else if (event.key === "Backspace" && this.ring.length) this.ring.pop();
    else if (event.key === "Enter" && this.ring.length > 2) return this.#finish(this.ring), true;
    else return false;
    this.viewer.refresh();
    return true;
  }

  draw() {
    if (this.stroke) return line(this.viewer, this.stroke);
    const path = this.at && this.ring.length ? [...this.ring, this.at] : this.ring;
    const closes = this.ring.length > 2 && this.at && distance(this.at, this.ring[0]) < this.viewer.px(CLOSE);
    return [
      ...line(this.viewer, closes ? this.ring : path, closes),
      ...this.ring.map((point, i) => grip(this.viewer, point, i === 0 && this.ring.length > 2 ? "first" : "")),
    ];
  }

  #finish(ring) {
    this.enter();
    // A slip of the hand is no particle.
    if (ringArea(ring) >= 1) this.drawn(rounded(ring));
    this.viewer.refresh();
  }
}

/** Drag the corners of one outline; a dot between two corners becomes a corner. */
export class CornersTool {
  name = "corners";

  /** @param target gives {number, outline} or null; changed(number, outline) is called after each drag. */
  constructor(viewer, { target, changed, picked }) {
    Object.assign(this, { viewer, target, changed, picked, grabbed: null, chosen: 0, shaped: new Set() });
  }

  enter() {
    this.load();
  }

  leave() {
    this.outline = null;
    this.grabbed = null;
  }

  /** Take over the outline that is selected now. */
  load() {
    if (this.grabbed) return; // the hand holds a corner of the outline that there is
    const target = this.target();
    const same = target && this.number === target.number;
    this.number = target?.number ?? null;
    this.chosen = same ? this.chosen : 0;
    // Corners of the model's outlines lie a pixel apart: a few of them are enough to drag. As long as none is dragged,
    // the outline stays as it is. One that was shaped here keeps its corners, also new ones on a straight edge.
    const shaped = target && this.shaped.has(JSON.stringify(target.outline));
    this.outline = target ? target.outline.map((polygon) => polygon.map((ring) => [...(shaped ? ring : simplifyRing(ring, 0.75))])) : null;
    this.viewer.refresh();
  }

  down(point) {
    const near = this.#nearest(point);
    if (!near) return false;
    if (near.between) this.#insert(near);
    this.grabbed = near;
    this.chosen = this.#corners().findIndex((each) => each.part === near.part && each.ring === near.ring && each.i === near.i);
    this.viewer.refresh();
    return true;
  }

  drag(point) {
    if (!this.grabbed) return;
    this.#set(this.grabbed, point);
    this.viewer.refresh();
  }

  drop() {
    if (this.grabbed) this.#keep();
    this.grabbed = null;
  }

  click(point, event, number) {
    const grabbed = this.grabbed;
    this.grabbed = null;
    if (grabbed && event.altKey) return this.#drop(grabbed);
    if (grabbed?.between) return this.#keep();
    if (grabbed) return this.load();
    if (number !== null && number !== this.number) this.picked([number], false);
  }

  cancelDrag() {
    this.grabbed = null;
    this.load();
  }

  key(event) {
    const corners = this.#corners();
    if (!corners.length) return false;
    const count = corners.length;
    const at = corners[Math.min(this.chosen, count - 1)];
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (event.key === ".") this.chosen = (this.chosen + 1) % count;
    else if (event.key === ",") this.chosen = (this.chosen + count - 1) % count;
    else if (arrow) {
      const step = event.shiftKey ? 5 : 1;
      const [x, y] = at.point;
      this.#set(at, [x + arrow[0] * step, y + arrow[1] * step]);
      this.#keep();
    } else if (event.key === "Insert" || event.key === "i") {
      const ring = this.outline[at.part][at.ring];
      const next = ring[(at.i + 1) % ring.length];
      this.#insert({ ...at, i: at.i + 1, point: [(at.point[0] + next[0]) / 2, (at.point[1] + next[1]) / 2] });
      this.chosen += 1;
      this.#keep();
    } else if (event.key === "Backspace") this.#drop(at);
    else return false;
    this.viewer.refresh();
    return true;
  }

  draw() {
    if (!this.outline) return [];
    const shapes = this.outline.flatMap((polygon) => polygon.flatMap((ring) => line(this.viewer, ring, true)));
    const corners = this.#corners();
    const between = this.viewer.px(GRIP * 5);
    const dots = corners.filter(({ point, next }) => distance(point, next) > between);
    return [
      ...shapes,
      ...dots.map(({ point, next }) => grip(this.viewer, [(point[0] + next[0]) / 2, (point[1] + next[1]) / 2], "between")),
      ...corners.map(({ point }, i) => grip(this.viewer, point, i === this.chosen ? "chosen" : "")),
    ];
  }

  #corners() {
    return (this.outline ?? []).flatMap((polygon, part) =>
      polygon.flatMap((ring, which) =>
        ring.map((point, i) => ({ part, ring: which, i, point, next: ring[(i + 1) % ring.length] }))));
  }

  #nearest(point) {
    let best = null;
    let least = this.viewer.px(REACH);
    for (const corner of this.#corners()) {
      const middle = [(corner.point[0] + corner.next[0]) / 2, (corner.point[1] + corner.next[1]) / 2];
      // A corner goes before a dot that is as near.
      const off = distance(point, corner.point) * 0.8;
      if (off < least) [least, best] = [off, corner];
      if (distance(corner.point, corner.next) > this.viewer.px(GRIP * 5) && distance(point, middle) < least) {
        [least, best] = [distance(point, middle), { ...corner, i: corner.i + 1, point: middle, between: true }];
      }
    }
    return best;
  }

  #insert({ part, ring, i, point }) {
    this.outline[part][ring] = this.outline[part][ring].toSpliced(i, 0, point);
  }

  #set({ part, ring, i }, [x, y]) {
    const { width, height } = this.viewer.size;
    this.outline[part][ring][i] = [Math.min(Math.max(x, 0), width), Math.min(Math.max(y, 0), height)];
  }

  #drop({ part, ring, i }) {
    if (this.outline[part][ring].length <= 3) return;
    this.outline[part][ring] = this.outline[part][ring].toSpliced(i, 1);
    this.chosen = Math.max(this.chosen - 1, 0);
    this.#keep();
    this.viewer.refresh();
  }

  #keep() {
    const outline = this.outline.map((polygon) => polygon.map(rounded));
    this.shaped.add(JSON.stringify(outline));
    this.changed(this.number, outline);
  }
}

/** Two clicks, or one drag: a line that cuts an outline, or whose length is known. */
export class LineTool {
  points = true;

  /** @param drawn is called with both ends. */
  constructor(viewer, name, { drawn, level = false }) {
    Object.assign(this, { viewer, name, drawn, level, from: null, at: null });
  }

  enter() {
    this.from = this.at = null;
  }

  leave() {
    this.enter();
  }

  down(point) {
    if (!this.from) this.start = point;
  }

  drag(point, event, drag) {
    this.from ??= drag.point;
    this.at = this.#levelled(point, event);
    this.viewer.refresh();
  }

  drop(point, event) {
    this.#finish(this.#levelled(point, event));
  }

  cancelDrag() {
    this.enter();
    this.viewer.refresh();
  }

  click(point, event) {
    if (this.from) return this.#finish(this.#levelled(point, event));
    this.from = point;
    this.viewer.refresh();
  }

  hover(point, event) {
    if (!this.from) return;
    this.at = this.#levelled(point, event);
    this.viewer.refresh();
  }

  key(event) {
    if (!["Escape", "Backspace"].includes(event.key) || !this.from) return false;
    this.cancelDrag();
    return true;
  }

  draw() {
    if (!this.from) return [];
    const ends = this.at ? [this.from, this.at] : [this.from];
    return [...line(this.viewer, ends), ...ends.map((point) => grip(this.viewer, point))];
  }

  /** Scale bars are level: within a few degrees, or with Shift, the line is made so. */
  #levelled([x, y], event) {
    const [fromX, fromY] = this.from ?? [x, y];
    const nearly = Math.abs(y - fromY) < 0.06 * Math.abs(x - fromX);
    return this.level && (nearly || event?.shiftKey) ? [x, fromY] : [x, y];
  }

  #finish(point) {
    const from = this.from;
    this.enter();
    this.viewer.refresh();
    if (from && distance(from, point) >= 2) this.drawn(from, point);
  }
}
