// The micrograph with SVG outlines over it: zoom, pan, and which tool gets the pointer and the keys.
//
// Coordinates of tools are pixels of the micrograph. The scene is moved and scaled as a whole; lines keep their width on
// the screen, since the width is set on the group for the zoom.

import { distance, pathOf } from "./geometry.js";
import { h, svg } from "./dom.js";

const MOST_ZOOM = 40; // screen px per micrograph px
const CLICK_PX = 4; // less than this is no drag
const STEP = 60; // px that an arrow key pans
const WHEEL = 0.0016;
const SHARP_FROM = 3; // zoom from which single pixels are shown as squares
const MANY = 500; // outlines from which they are drawn anew only when the view rests
const REST = 90; // ms
const IN_ONE_RIM = 40; // outlines; the cost of a path grows faster than its length

export class Viewer {
  /** @param {HTMLElement} host the element that is zoomed in; it has the focus, too. */
  constructor(host, { hover, zoomed, middle }) {
    this.host = host;
    this.middle = middle; // of what is selected, in micrograph px, or null: zooming by keys keeps it in place
    this.hover = hover;
    this.zoomed = zoomed;
    this.picture = svg("image", { x: 0, y: 0 });
    this.halo = svg("g", { class: "halo" });
    this.layer = svg("g", { class: "outlines" });
    this.marks = svg("g", { class: "marks" });
    this.overlay = svg("g", { class: "overlay" });
    this.scene = svg("g", {}, this.picture, this.halo, this.layer, this.marks, this.overlay);
    this.root = svg("svg", { class: "scene", "aria-hidden": "true" }, this.scene);
    this.band = h("div", { class: "band", hidden: true });
    host.append(this.root, this.band);
    this.paths = new Map(); // number -> {path, outline, d}
    this.size = { width: 1, height: 1 };
    this.zoom = 1;
    this.left = 0;
    this.top = 0;
    this.tool = null;
    this.cursor = null; // where the keyboard points, in micrograph px
    this.pointers = new Map();
    this.drag = null;
    this.fitted = true;
    this.#listen();
  }

  /** Show another micrograph. */
  open({ address, width, height }) {
    this.size = { width, height };
    this.host.style.setProperty("--tall", String(height / width)); // on small screens it takes no more room than that
    this.picture.setAttribute("width", width);
    this.picture.setAttribute("height", height);
    this.picture.setAttribute("href", address);
    this.layer.replaceChildren();
    this.paths.clear();
    this.cursor = null;
    this.drawn = null;
    this.fit();
  }

  /**
   * Draw outlines; small ones lie over large ones.
   * @param {{number: number, outline: number[][][][], area: number, classes: string}[]} particles
   */
  draw(particles) {
    const order = [...particles].sort((one, other) => other.area - one.area || one.number - other.number);
    const known = new Set(order.map((each) => each.number));
    for (const [number, entry] of this.paths) {
      if (known.has(number)) continue;
      entry.path.remove();
      this.paths.delete(number);
    }
    const rims = [];
    let previous = null;
    for (const { number, outline, classes } of order) {
      let entry = this.paths.get(number);
      if (!entry) {
        entry = { path: svg("path", { "data-number": number }), outline: null, d: "", classes: null };
        this.paths.set(number, entry);
      }
      if (entry.outline !== outline) {
        entry.outline = outline;
        entry.d = pathOf(outline);
        entry.path.setAttribute("d", entry.d);
      }
      if (entry.classes !== classes) {
        entry.classes = classes;
        entry.path.setAttribute("class", classes);
      }
      const place = previous ? previous.nextSibling : this.layer.firstChild;
      if (place !== entry.path) this.layer.insertBefore(entry.path, place);
      previous = entry.path;
      if (!classes.includes("gone")) rims.push(entry);
    }
    this.#drawRims(rims);
  }

  /** The dark rim below the lines: some outlines to a path, which costs less than a path for each. */
  #drawRims(entries) {
    const content = entries.map((each) => each.d).join("");
    if (this.rim === content) return;
    this.rim = content;
    const paths = [];
    for (let i = 0; i < entries.length; i += IN_ONE_RIM) {
      paths.push(svg("path", { d: entries.slice(i, i + IN_ONE_RIM).map((each) => each.d).join("") }));
    }
    this.halo.replaceChildren(...paths);
  }

  /** Hand pointer and keys to a tool. */
  use(tool) {
    this.tool?.leave?.();
    this.tool = tool;
    this.cursor = null;
    this.host.dataset.tool = tool.name;
    tool.enter?.();
    this.refresh();
  }

  /** Show all of it. */
  fit() {
    const { width, height } = this.#hostSize();
    this.zoom = this.#fittingZoom();
    this.left = (width - this.zoom * this.size.width) / 2;
    this.top = (height - this.zoom * this.size.height) / 2;
    this.fitted = true;
    this.#place();
  }

  /** Zoom by a factor; the point (x, y) of the host stays where it is. By default what is selected comes to its middle. */
  zoomBy(factor, x, y) {
    if (x === undefined) return this.#zoomTo(factor, this.middle());
    const least = this.#fittingZoom();
    const zoom = Math.min(Math.max(this.zoom * factor, least), MOST_ZOOM);
    if (zoom <= least * 1.0001) return this.fit();
    this.left = x - ((x - this.left) * zoom) / this.zoom;
    this.top = y - ((y - this.top) * zoom) / this.zoom;
    this.zoom = zoom;
    this.fitted = false;
    this.#place();
  }

  #zoomTo(factor, target) {
    const { width, height } = this.#hostSize();
    if (target && factor > 1) {
      this.left = width / 2 - target[0] * this.zoom;
      this.top = height / 2 - target[1] * this.zoom;
    }
    this.hover(null, null);
    this.zoomBy(factor, width / 2, height / 2);
  }

  /** Move by screen pixels. */
  panBy(dx, dy) {
    this.left += dx;
    this.top += dy;
    this.fitted = false;
    this.#place();
  }

  /** Bring a box of micrograph pixels into sight, without zooming out of it. */
  reveal([left, top, right, bottom]) {
    const { width, height } = this.#hostSize();
    const margin = 24;
    const screen = [left * this.zoom + this.left, top * this.zoom + this.top, right * this.zoom + this.left, bottom * this.zoom + this.top];
    const inside = screen[0] >= margin && screen[1] >= margin && screen[2] <= width - margin && screen[3] <= height - margin;
    if (inside || this.fitted) return;
    this.left = width / 2 - ((left + right) / 2) * this.zoom;
    this.top = height / 2 - ((top + bottom) / 2) * this.zoom;
    this.#place();
  }

  /** Draw again what hangs on the zoom or on the tool. */
  refresh() {
    this.overlay.replaceChildren(...(this.tool?.draw?.() ?? []), ...this.#crosshair());
  }

  /** Where a pointer event is, in micrograph pixels, within the micrograph. */
  pointOf(event) {
    const { left, top } = this.host.getBoundingClientRect();
    return this.#clamped([(event.clientX - left - this.left) / this.zoom, (event.clientY - top - this.top) / this.zoom]);
  }

  /** Number of the outline under a pointer event, or null. */
  numberAt(event) {
    const path = document.elementFromPoint(event.clientX, event.clientY)?.closest?.("[data-number]");
    return path && this.layer.contains(path) ? Number(path.dataset.number) : null;
  }

  /** A length on the screen as micrograph pixels. */
  px(length) {
    return length / this.zoom;
  }

  /** What is seen of the micrograph: [left, top, right, bottom]. */
  seen() {
    const { width, height } = this.#hostSize();
    const corner = this.#clamped([-this.left / this.zoom, -this.top / this.zoom]);
    return [...corner, ...this.#clamped([(width - this.left) / this.zoom, (height - this.top) / this.zoom])];
  }

  #clamped([x, y]) {
    return [Math.min(Math.max(x, 0), this.size.width), Math.min(Math.max(y, 0), this.size.height)];
  }

  #hostSize() {
    return { width: this.host.clientWidth || 1, height: this.host.clientHeight || 1 };
  }

  #fittingZoom() {
    const { width, height } = this.#hostSize();
    return Math.min(width / this.size.width, height / this.size.height);
  }

  #place() {
    const { width, height } = this.#hostSize();
    const [across, down] = [this.zoom * this.size.width, this.zoom * this.size.height];
    // A third of the micrograph stays in sight.
    this.left = Math.min(Math.max(this.left, width / 3 - across), (2 * width) / 3);
    this.top = Math.min(Math.max(this.top, height / 3 - down), (2 * height) / 3);
    clearTimeout(this.timer);
    if (this.paths.size < MANY || !this.drawn) return this.#render();
    // The picture that there is, moved and scaled, until the view rests: the browser need not draw thousands of lines.
    const factor = this.zoom / this.drawn.zoom;
    this.root.style.transform = `translate(${this.left - factor * this.drawn.left}px, ${this.top - factor * this.drawn.top}px) scale(${factor})`;
    this.timer = setTimeout(() => this.#render(), REST);
  }

  #render() {
    const { zoom, left, top } = this;
    this.root.style.transform = "";
    this.scene.setAttribute("transform", `translate(${left} ${top}) scale(${zoom})`);
    if (zoom !== this.drawn?.zoom) {
      this.layer.setAttribute("stroke-width", 1.6 / zoom);
      this.halo.setAttribute("stroke-width", 3.4 / zoom);
      this.host.style.setProperty("--px", `${1 / zoom}px`);
      this.picture.classList.toggle("sharp", zoom >= SHARP_FROM);
    }
    this.drawn = { zoom, left, top };
    this.refresh();
    this.zoomed();
  }

  #crosshair() {
    if (!this.cursor) return [];
    const [x, y] = this.cursor;
    const [near, far] = [this.px(4), this.px(16)];
    const d = `M${x - far} ${y}h${far - near}M${x + near} ${y}h${far - near}M${x} ${y - far}v${far - near}M${x} ${y + near}v${far - near}`;
    return [svg("path", { class: "crosshair-rim", d, "stroke-width": this.px(4) }), svg("path", { class: "crosshair", d, "stroke-width": this.px(2) })];
  }

  #listen() {
    const host = this.host;
    host.addEventListener("pointerdown", (event) => this.#down(event));
    host.addEventListener("pointermove", (event) => this.#move(event));
    host.addEventListener("pointerup", (event) => this.#up(event));
    host.addEventListener("pointercancel", (event) => this.#cancel(event));
    host.addEventListener("pointerleave", () => this.hover(null, null));
    host.addEventListener("dblclick", (event) => this.tool?.twice?.(this.pointOf(event), event));
    host.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    host.addEventListener("keydown", (event) => this.#key(event));
    host.addEventListener("blur", () => { if (this.cursor) { this.cursor = null; this.refresh(); } });
    new ResizeObserver(() => (this.fitted ? this.fit() : this.#place())).observe(host);
  }

  #down(event) {
    if (event.button > 1) return;
    this.host.focus({ preventScroll: true });
    this.host.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    this.cursor = null;
    if (this.pointers.size === 2) {
      // The second finger: what the first one began was no drawing.
      this.tool?.cancelDrag?.();
      this.band.hidden = true;
      this.drag = { kind: "pinch", ...this.#pinch() };
      return;
    }
    const point = this.pointOf(event);
    const start = { x: event.clientX, y: event.clientY, point, number: this.numberAt(event), moved: false };
    const pans = event.button === 1 || (this.tool?.pans && !event.shiftKey);
    this.drag = { kind: pans ? "pan" : "tool", last: [event.clientX, event.clientY], ...start };
    if (this.drag.kind === "tool" && this.tool?.down?.(point, event) === false) this.drag.kind = "pan";
  }

  #move(event) {
    if (!this.pointers.has(event.pointerId)) {
      this.hover(this.numberAt(event), event);
      this.tool?.hover?.(this.pointOf(event), event);
      return;
    }
    this.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    const drag = this.drag;
    if (!drag) return;
    if (drag.kind === "pinch") return this.#pinched();
    drag.moved ||= distance([event.clientX, event.clientY], [drag.x, drag.y]) >= CLICK_PX;
    if (!drag.moved) return;
    this.hover(null, null);
    if (drag.kind === "pan") {
      this.panBy(event.clientX - drag.last[0], event.clientY - drag.last[1]);
      drag.last = [event.clientX, event.clientY];
    } else this.tool?.drag?.(this.pointOf(event), event, drag);
  }

  #up(event) {
    if (!this.pointers.delete(event.pointerId)) return;
    const drag = this.drag;
    if (drag?.kind === "pinch") {
      if (!this.pointers.size) this.drag = null;
      return;
    }
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) this.tool?.click?.(drag.point, event, drag.number);
    else if (drag.kind === "tool") this.tool?.drop?.(this.pointOf(event), event, drag);
  }

  #cancel(event) {
    this.pointers.delete(event.pointerId);
    this.drag = null;
    this.tool?.cancelDrag?.();
  }

  #pinch() {
    const [one, other] = [...this.pointers.values()];
    return { span: Math.max(distance(one, other), 1), middle: [(one[0] + other[0]) / 2, (one[1] + other[1]) / 2] };
  }

  #pinched() {
    if (this.pointers.size < 2) return;
    const { span, middle } = this.#pinch();
    const { left, top } = this.host.getBoundingClientRect();
    this.panBy(middle[0] - this.drag.middle[0], middle[1] - this.drag.middle[1]);
    this.zoomBy(span / this.drag.span, middle[0] - left, middle[1] - top);
    Object.assign(this.drag, { span, middle });
  }

  #wheel(event) {
    // All of it in sight and the wheel asks for less: the page scrolls on.
    if (this.fitted && event.deltaY > 0) return;
    event.preventDefault();
    const { left, top } = this.host.getBoundingClientRect();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
    this.zoomBy(Math.exp(-event.deltaY * lines * WHEEL * (event.ctrlKey ? 4 : 1)), event.clientX - left, event.clientY - top);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) {
      if (!(event.key === "Enter" && this.tool?.key)) return;
    }
    if (this.tool?.key?.(event)) return event.preventDefault();
    const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (arrow && this.tool?.points) this.#moveCursor(arrow, event.shiftKey ? 10 : 1);
    else if (arrow) this.panBy(-arrow[0] * STEP, -arrow[1] * STEP);
    else if ((event.key === " " || event.key === "Enter") && this.tool?.points && this.cursor) this.tool.click(this.cursor, event, null);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.3);
    else if (event.key === "-") this.zoomBy(1 / 1.3);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  #moveCursor([dx, dy], factor) {
    const [left, top, right, bottom] = this.seen();
    const from = this.cursor ?? [(left + right) / 2, (top + bottom) / 2];
    const step = this.px(2) * factor;
    this.cursor = this.#clamped([from[0] + dx * step, from[1] + dy * step]);
    this.tool.hover?.(this.cursor, null);
    this.refresh();
  }
}
