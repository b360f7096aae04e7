// Elements made one by one, never from text as HTML: names of files come from users, and the policy lets no inline style pass.

const SVG = "http://www.w3.org/2000/svg";
const STATIC = document.documentElement.dataset.static;

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * An element. Of `properties`, `on…` are listeners, `css` sets custom properties and styles, `data` fills the dataset,
 * booleans set or leave out an attribute, null leaves it out.
 */
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

/** The same in SVG. */
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), properties, children);
}

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** An icon of icons.svg. */
export function icon(name) {
  return svg("svg", { class: "icon", "aria-hidden": "true", focusable: "false" },
    svg("use", { href: `${STATIC}icons.svg#${name}` }));
}

/** Children of an element, replaced. */
export function put(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
}

/** Whether a key press belongs to what is being typed into. */
export function isTyping(target) {
  return target instanceof Element && target.closest("input:not([type=range],[type=checkbox],[type=radio]), select, textarea") !== null;
}

/** A function that runs `wait` ms after its last call. */
export function debounced(action, wait) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => action(...values), wait);
  };
}
