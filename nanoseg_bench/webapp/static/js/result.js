// Figures of the result, what a reader must know of them, and the table of statistics.

import { activeSummary, changed, on, sampleIds, state } from "./state.js";
import { byId, h, icon, put } from "./dom.js";
import { interval, length, ratio, statistic, uncertainty } from "./format.js";
import { hint, hinted, withHint } from "./hints.js";
import { UNNAMED } from "./particles.js";
import { hasText, t } from "./language.js";

let budgetOpen = false; // as it is drawn anew with each answer

/** Keep figures and table up to date. */
export function startResult() {
  for (const radio of document.querySelectorAll('input[name="scope"]')) {
    radio.addEventListener("change", () => { state.scope = radio.value; changed("scope"); });
  }
  on("statistics filters", draw);
  on("micrographs excluded active scope", drawScope);
}

function drawScope() {
  const many = sampleIds().length > 1;
  byId("scope").hidden = !many && state.scope === "one";
  byId("scope-all").textContent = t("scope.all", { n: sampleIds().length });
  for (const radio of document.querySelectorAll('input[name="scope"]')) radio.checked = radio.value === state.scope;
}

function draw() {
  const statistics = state.statistics;
  const figures = byId("figures");
  if (!statistics) {
    put(figures, h("p", { class: "soft" }, t(activeSummary() ? "stage.loading" : "result.empty")));
    put(byId("warnings"));
    put(byId("statistics-body"));
    return;
  }
  const { estimates, unit, count } = statistics;
  const of = (name) => estimates.find((each) => each.name === name);
  const tile = (id, value, label, more = "") => h("div", { class: "figure-tile", id },
    h("p", { class: "value" }, value), h("p", { class: "label" }, label), h("p", { class: "more" }, more));
  const median = of("d50");
  const between = median ? interval(median.lo, median.hi, unit) : "";
  put(figures,
    tile("figure-count", String(count), hinted("result.count", { n: count }), statistics.images > 1 ? t("result.images", { n: statistics.images }) : ""),
    median && median.value !== null ? tile("figure-d50", [h("span", {}, length(median.value)), h("small", {}, ` ${unit}`)], hinted("result.median"), between ? t("result.interval", { between }) : statistics.intervals ? t("result.no-interval") : t("result.interval.soon")) : null,
    of("d10")?.value !== null && of("d10") ? tile("figure-range", [h("span", {}, `${length(of("d10").value)} – ${length(of("d90").value)}`), h("small", {}, ` ${unit}`)], hinted("result.range")) : null,
    of("gsd")?.value !== null && of("gsd") ? tile("figure-gsd", ratio(of("gsd").value), hinted("result.gsd")) : null);
  const notes = [...statistics.warnings];
  put(byId("warnings"), count ? null : nothingCounts(), leftOut(statistics), notes.length ? h("details", { class: "notes", open: notes.length < 3 }, h("summary", {}, t("result.notes", { n: notes.length })), h("ul", {}, notes.map((text) => h("li", {}, text)))) : null);
  drawTable(statistics);
}

/** No number to show: what can be done about it. */
function nothingCounts() {
  const { filters, showLeftOut, statistics } = state;
  // Whatever does not count is there with its reason.
  if (!Object.values(statistics.exclusions).some((each) => Object.keys(each).length)) {
    return h("div", { class: "ask" }, h("p", {}, h("b", {}, t("result.none"))), h("p", {}, t("result.none.at-all")));
  }
  return h("div", { class: "ask" }, h("p", {}, h("b", {}, t("result.none"))), h("p", {}, t("result.none.why")),
    h("div", { class: "row" },
      showLeftOut ? null : h("button", { type: "button", class: "small", id: "none-show", onclick: () => { state.showLeftOut = true; changed("view"); draw(); byId("viewport").focus(); } }, icon("hidden"), t("result.none.show")),
      filters.confidence === null ? null : h("button", { type: "button", class: "small", id: "none-confidence", onclick: () => byId("confidence").focus() }, t("result.none.confidence"))));
}

function leftOut(statistics) {
  const rows = statistics.left_out ?? [];
  if (!rows.length) return null;
  const all = rows.reduce((sum, each) => sum + each.count, 0);
  return h("details", { class: "notes" }, h("summary", {}, t("result.left-out", { n: all })), h("ul", {}, rows.map((each) => h("li", {}, t("result.left-out.of", { n: each.count, reason: each.reason })))));
}

function drawTable(statistics) {
  const rows = statistics.estimates.map((each) => [
    h("th", { scope: "row" }, withHint(inUnit(each.heading, each.unit), hint(`statistic.${each.name}`, hasText(`statistic.${each.name}`) ? t(`statistic.${each.name}`) : each.meaning ?? ""))),
    h("td", { class: "figure", data: { statistic: each.name } }, statistic(each.value, each.unit)),
    h("td", { class: "figure soft" }, interval(each.lo, each.hi, each.unit) || (statistics.intervals ? "–" : "…")),
  ]);
  const sizes = h("table", { id: "size-table" }, h("caption", {}, hinted("statistics.sizes")),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("statistics.quantity")), h("th", { scope: "col", class: "figure" }, t("statistics.value")), h("th", { scope: "col", class: "figure" }, hinted("statistics.interval")))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells))));
  put(byId("statistics-body"), h("p", { class: "soft" }, statistics.sentence), h("div", { class: "tables" }, h("div", {}, scrolled(sizes, t("statistics.sizes")), budget(statistics)), groupsTable(statistics)));
}

/** What the median is uncertain by, folded; it comes with the intervals. */
function budget({ intervals, uncertainty: found, unit }) {
  if (intervals && !found) return null;
  const expanded = found ? `± ${uncertainty(found.expanded)} ${unit}` : "…";
  const rows = (found?.components ?? []).map((each) => h("tr", {},
    h("th", { scope: "row" }, each.name),
    h("td", { class: "figure" }, uncertainty(each.standard_uncertainty)),
    h("td", { class: "soft" }, each.basis)));
  const table = found && h("table", { id: "uncertainty-table" }, h("caption", {}, withHint(found.sentence, hint("uncertainty.hint"))),
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("uncertainty.source")), h("th", { scope: "col", class: "figure" }, inUnit(t("uncertainty.standard"), unit)), h("th", { scope: "col" }, t("uncertainty.basis")))),
    h("tbody", {}, rows));
  const told = t(found?.unknown.length ? "uncertainty.without" : "uncertainty.all", { expanded, unknown: found?.unknown.join(", ") });
  return h("details", { id: "uncertainty", open: budgetOpen, ontoggle: (event) => { budgetOpen = event.target.open; } },
    h("summary", {}, told), table && scrolled(table, t("uncertainty.sources")));
}

const inUnit = (text, unit) => (unit ? `${text} (${unit})` : text);

/** A line for each group and quantity. */
function groupsTable(statistics) {
  const rows = statistics.groups.flatMap((group) => group.quantities.map((each, i) => ({ group, each, first: i === 0 })));
  if (!rows.length) return null;
  // As in the Word report: SD without an interval.
  const value = (name, { value: number, lo, hi }, unit) => [statistic(number, unit), lo === null || name === "sd" ? null : h("span", { class: "soft" }, ` [${statistic(lo, unit)}, ${statistic(hi, unit)}]`)];
  const table = h("table", { id: "group-table" }, h("caption", {}, t("statistics.groups")),
    h("thead", {}, h("tr", {}, ["statistics.group", "statistics.quantity", "statistics.count", "statistics.mean", "statistics.sd", "statistics.median"].map((key, i) => h("th", { scope: "col", class: i > 1 ? "figure" : null }, t(key))))),
    h("tbody", {}, rows.map(({ group, each, first }) => h("tr", { class: first ? "first" : null },
      h("th", { scope: "row" }, group.name === "all" ? t("statistics.all") : group.name),
      h("td", {}, withHint(inUnit(each.heading, each.unit), hint(`quantity.${each.quantity}`, meaningOf(each.quantity)))),
      h("td", { class: "figure" }, String(each.count)),
      ...["mean", "sd", "d50"].map((name) => h("td", { class: "figure" }, value(name, each.estimates[name], each.unit)))))));
  const unnamed = statistics.groups.find((each) => each.name === UNNAMED && !each.quantities.length)?.count;
  return h("div", {}, scrolled(table, t("statistics.groups")),
    unnamed && rows.at(-1).group.name !== "all" ? h("p", { class: "soft", id: "group-unnamed" }, t("statistics.unnamed", { n: unnamed })) : null);
}

const meaningOf = (quantity) => state.about.columns.find((each) => each.quantity === quantity)?.meaning ?? "";

/** A table that may be wider than the screen: the keyboard scrolls it, too. */
export function scrolled(table, label) {
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label }, table);
}
