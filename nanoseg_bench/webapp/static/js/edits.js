// Edits of a micrograph's outlines as documents: each function gives a new one and leaves the old one as it is, so that
// undo is putting an earlier one. Drawn outlines are numbered after the model's, in their order, and stay in the list.

/** No edits. */
export const noEdits = () => ({ removed: [], counted: [], changed: {}, labels: {}, drawn: [] });

/** Outlines out. */
export function removeOutlines(edits, numbers) {
  return { ...edits, removed: union(edits.removed, numbers) };
}

/** Outlines in again. */
export function restoreOutlines(edits, numbers) {
  return { ...edits, removed: edits.removed.filter((each) => !numbers.includes(each)) };
}

/** Outlines count although they lie on a mark or touch the border, or no longer do. */
export function countOutlines(edits, numbers, count) {
  const counted = count ? union(edits.counted, numbers) : edits.counted.filter((each) => !numbers.includes(each));
  return { ...edits, counted };
}

/** Another outline for one that there is. */
export function changeOutline(edits, number, outline, modelCount) {
  if (number <= modelCount) return { ...edits, changed: { ...edits.changed, [number]: outline } };
  const drawn = edits.drawn.map((each, position) => (position === number - modelCount - 1 ? { ...each, outline } : each));
  return { ...edits, drawn };
}

/** Another class. */
export function labelOutlines(edits, numbers, label, modelCount) {
  const labels = { ...edits.labels };
  let drawn = edits.drawn;
  for (const number of numbers) {
    if (number <= modelCount) labels[number] = label;
    else drawn = drawn.map((each, position) => (position === number - modelCount - 1 ? { ...each, label } : each));
  }
  return { ...edits, labels, drawn };
}

/** New outlines; `from` are numbers of those that they take the place of. */
export function drawOutlines(edits, outlines, from = [], label = null) {
  const drawn = [...edits.drawn, ...outlines.map((outline) => ({ outline, label, from }))];
  return { ...edits, drawn, removed: union(edits.removed, from) };
}

function union(numbers, more) {
  return [...new Set([...numbers, ...more])].sort((one, other) => one - other);
}
