// Numbers as the Word report prints them, so that both can be compared digit by digit.

const LENGTH_DIGITS = 4;
const UNCERTAINTY_DIGITS = 2;
const RATIO_DIGITS = 3;
const NONE = "–";

/** A length or an area: four significant digits, never in powers of ten. */
export const length = (value) => significant(value, LENGTH_DIGITS);

/** An uncertainty: two significant digits. */
export const uncertainty = (value) => significant(value, UNCERTAINTY_DIGITS);

function significant(value, digits) {
  if (value === null || value === undefined || Number.isNaN(value)) return NONE;
  if (value === 0) return "0";
  // Of the rounded number: 9.9996 is 10.00 and not 10.000.
  const exponent = Number(value.toExponential(digits - 1).split("e")[1]);
  return value.toFixed(Math.min(Math.max(digits - 1 - exponent, 0), 12));
}

/** A ratio. */
export function ratio(value, digits = RATIO_DIGITS) {
  return value === null || value === undefined || Number.isNaN(value) ? NONE : value.toFixed(digits);
}

/** A statistic with its unit, of a length or a ratio. */
export function statistic(value, unit) {
  return unit ? length(value) : ratio(value);
}

/** `[low, high]`, or nothing where there is no interval. */
export function interval(low, high, unit) {
  if (low === null || low === undefined || high === null || high === undefined) return "";
  return `${statistic(low, unit)} – ${statistic(high, unit)}`;
}

/** A value of the table of particles, by the declaration of its column. */
export function cell(value, column) {
  if (value === null || value === undefined || value === "") return "";
  if (column.kind === "number") return column.digits > 0 ? Number(value).toFixed(column.digits) : String(Math.round(value));
  return String(value);
}

/** nm per px, five significant digits without trailing noise, as the report has it. */
export function scale(value) {
  return String(Number(value.toPrecision(5)));
}
