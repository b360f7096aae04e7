// Adds what a page without scripts does without: sorting by a column, and picking out the lines of single models.
"use strict";

for (const hint of document.querySelectorAll(".scripted")) hint.hidden = false;

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.querySelectorAll("th[data-column]")];
  for (const heading of headings) {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.querySelector("span").childNodes);
    heading.querySelector("span").replaceChildren(button);
    button.addEventListener("click", () => {
      // Numbers start with the largest, names with the first letter.
      const words = heading.dataset.kind === "words";
      const now = heading.getAttribute("aria-sort");
      const descending = now ? now === "ascending" : !words && heading.dataset.kind !== "rank";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      sort(body, Number(heading.dataset.column), words, descending ? -1 : 1);
    });
  }
}

function sort(body, column, words, sign) {
  const rows = [...body.rows].map((row) => ({ row, value: valueOf(row, column, words) }));
  // Empty cells, and rows of runs that failed, stay below whichever way the others go.
  rows.sort((a, b) => {
    if (a.value === null || b.value === null) return (a.value === null) - (b.value === null);
    return sign * (words ? a.value.localeCompare(b.value) : a.value - b.value);
  });
  body.append(...rows.map(({ row }) => row));
}

function valueOf(row, column, words) {
  if (row.classList.contains("failed")) return null;
  const text = row.cells[column].dataset.sort;
  return text ? (words ? text : Number(text)) : null;
}

const chosen = new Set();

for (const item of document.querySelectorAll(".legend li[data-model]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.model = item.dataset.model;
  button.setAttribute("aria-pressed", "false");
  button.title = "show this model alone, or with others that are picked";
  button.append(...item.childNodes);
  item.append(button);
  button.addEventListener("click", () => {
    const model = button.dataset.model;
    if (!chosen.delete(model)) chosen.add(model);
    for (const other of document.querySelectorAll(".legend button")) {
      other.setAttribute("aria-pressed", String(chosen.has(other.dataset.model)));
    }
    for (const line of document.querySelectorAll('svg.chart g[id*="-model-"]')) {
      line.classList.toggle("faded", chosen.size > 0 && !chosen.has(line.id.split("-model-").pop()));
    }
  });
}
