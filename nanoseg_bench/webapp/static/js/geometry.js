// What drawing with a pointer needs. Sizes and shapes are measured by the server alone.

/** Path of a multi-polygon; holes are cut out by the even-odd rule. */
export function pathOf(outline) {
  let path = "";
  for (const polygon of outline) {
    for (const ring of polygon) {
      path += `M${ring[0][0]} ${ring[0][1]}`;
      for (let i = 1; i < ring.length; i += 1) path += `L${ring[i][0]} ${ring[i][1]}`;
      path += "Z";
    }
  }
  return path;
}

/** Bounding box [left, top, right, bottom] of a multi-polygon. */
export function boxOf(outline) {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [ring] of outline) {
    for (const [x, y] of ring) {
      left = Math.min(left, x); right = Math.max(right, x);
      top = Math.min(top, y); bottom = Math.max(bottom, y);
    }
  }
  return [left, top, right, bottom];
}

/** Area of a ring by the shoelace formula, px². */
export function ringArea(ring) {
  let sum = 0;
  ring.forEach(([x, y], i) => {
    const [nextX, nextY] = ring[(i + 1) % ring.length];
    sum += x * nextY - nextX * y;
  });
  return Math.abs(sum) / 2;
}

/** Distance of two points. */
export const distance = ([x0, y0], [x1, y1]) => Math.hypot(x1 - x0, y1 - y0);

/** A closed ring with fewer corners, none further than `tolerance` px from the old line (Douglas–Peucker). */
export function simplifyRing(ring, tolerance) {
  if (ring.length < 5) return ring;
  let far = 0;
  ring.forEach((point, i) => { if (distance(point, ring[0]) > distance(ring[far], ring[0])) far = i; });
  const halves = [ring.slice(0, far + 1), [...ring.slice(far), ring[0]]];
  const kept = halves.flatMap((half) => simplifyLine(half, tolerance).slice(0, -1));
  return kept.length < 3 ? ring : kept;
}

function simplifyLine(line, tolerance) {
  const keep = new Uint8Array(line.length);
  keep[0] = keep[line.length - 1] = 1;
  const spans = [[0, line.length - 1]];
  while (spans.length) {
    const [first, last] = spans.pop();
    let [worst, at] = [tolerance, -1];
    for (let i = first + 1; i < last; i += 1) {
      const off = distanceToSegment(line[i], line[first], line[last]);
      if (off > worst) [worst, at] = [off, i];
    }
    if (at >= 0) {
      keep[at] = 1;
      spans.push([first, at], [at, last]);
    }
  }
  return line.filter((_, i) => keep[i]);
}

function distanceToSegment(point, from, to) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const span = dx * dx + dy * dy;
  const share = span ? Math.max(0, Math.min(1, ((point[0] - from[0]) * dx + (point[1] - from[1]) * dy) / span)) : 0;
  return distance(point, [from[0] + share * dx, from[1] + share * dy]);
}
