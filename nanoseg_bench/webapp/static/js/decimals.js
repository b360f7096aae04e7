// Numbers as people type them, read as the command line reads them (nanoseg_bench/decimals.py).

/** A number with a decimal point or comma; NaN for what is none, and for what may be two. */
export function readDecimal(text) {
  const written = text.trim();
  const marks = written.match(/[.,]/g) ?? [];
  return written === "" || marks.length > 1 || mayBeTwo(written) ? NaN : Number(written.replace(",", "."));
}

/** Whether nobody knows what the comma is: of 1,234, not of 0,234 or 1,23. */
export function mayBeTwo(text) {
  return /^[-+]?[1-9]\d{0,2},\d{3}$/.test(text.trim());
}
