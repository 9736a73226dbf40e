// How does a timeline become a picture one can read, point at and walk through by keys?
//
//   model.head, model.numbers  --unpack-->  panels  --layout-->  places  --draw-->  canvas
//                                                                 ^
//   pointer, wheel, keys  ------------------------------------>  state (view, hovered, focused, pinned, reading)
//
// One plain module, no build step, nothing fetched. Parts, in order: unpack, layout, drawing, words, table, and at the
// end `render`, which holds the state and listens. Times are counted from the step's start, in the trace's unit.

const FONT = "var(--jp-ui-font-family, system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif)";
const SMALL = 12, LABEL_FROM = 15;

const STYLE = `
.minipar-timeline { position: relative; width: 100%; box-sizing: border-box; padding: 4px 0 6px; font-family: ${FONT};
  color: var(--jp-ui-font-color1, #1f1f1f); background: var(--jp-layout-color0, #fff); }
.minipar-timeline canvas { display: block; width: 100%; cursor: default; outline: none; border-radius: 3px; }
.minipar-timeline canvas:focus-visible { box-shadow: 0 0 0 2px var(--jp-brand-color1, #1976d2); }
.minipar-foot { display: flex; flex-wrap: wrap; gap: 6px 16px; align-items: flex-start; margin: 4px 4px 0; }
.minipar-readout { flex: 1 1 360px; min-height: 36px; font-size: 13px; line-height: 18px; white-space: pre-line; }
.minipar-tools { display: flex; flex-wrap: wrap; gap: 4px; }
.minipar-tools button { font: 12px ${FONT}; line-height: 18px; padding: 2px 8px; border-radius: 3px; cursor: pointer;
  color: inherit; background: transparent; border: 1px solid var(--jp-border-color1, #bdbdbd); }
.minipar-tools button:hover { background: var(--jp-layout-color2, #eee); }
.minipar-tools button:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
.minipar-tools button[aria-pressed=true] { background: var(--jp-layout-color3, #ddd); }
.minipar-table { max-height: 320px; overflow: auto; margin: 6px 4px 0; }
.minipar-table table { border-collapse: collapse; font-size: 12px; margin: 0 0 10px; }
.minipar-table caption { text-align: left; font-weight: 600; padding: 4px 0; white-space: nowrap; }
.minipar-table th, .minipar-table td { text-align: left; padding: 2px 12px 2px 0; white-space: nowrap;
  border-bottom: 1px solid var(--jp-border-color2, #ddd); font-variant-numeric: tabular-nums; }
`;

// ---------------------------------------------------------------------------------------------------------- unpack

/** Panels with typed arrays cut out of one run of floats, in the order in which packing.py wrote them. */
function unpack(head, numbers) {
  const bytes = numbers ? new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength).slice() : new Uint8Array();
  const floats = new Float32Array(bytes.buffer);
  let at = 0;
  const take = (length) => floats.subarray(at, (at += length));
  return (head.panels || []).map((given) => {
    const panel = { ...given };
    panel.bar = table(take(given.bars * 8), ["rank", "start", "end", "kind", "stage", "microbatch", "lane", "name"]);
    panel.pairs = take(given.needs * 2);
    panel.letter = table(take(given.messages * 4), ["source", "target", "sent", "received"]);
    panel.past = table(take(given.ghost * 6), ["rank", "start", "end", "kind", "stage", "microbatch"]);
    if (given.strip) {
      const width = 1 + given.strip.names.length;
      panel.steps = given.strip.rows.map((rows) => ({ rows, width, at: take(rows * width) }));
    }
    panel.rows = rowsOf(panel);
    return panel;
  });
}

/** An object of accessors over interleaved rows: bar.start(7). */
function table(floats, names) {
  const width = names.length, columns = { length: floats.length / width };
  names.forEach((name, offset) => { columns[name] = (row) => floats[row * width + offset]; });
  return columns;
}

/** For each rank the positions of its bars in order of time: what keys walk along and the pointer is searched in. */
function rowsOf(panel) {
  const rows = Array.from({ length: panel.ranks }, () => []);
  for (let i = 0; i < panel.bar.length; i++) rows[panel.bar.rank(i)].push(i);
  for (const row of rows) row.sort((a, b) => panel.bar.start(a) - panel.bar.start(b));
  return rows;
}

// ---------------------------------------------------------------------------------------------------------- layout

/** Heights by how many rows there are in all: sixteen rows of one panel still fit a small screen; panels may scroll. */
function sizes(rows, panels) {
  if (rows <= 4) return { row: 32, strip: 32 };
  if (rows <= 8) return { row: 24, strip: 28 };
  if (rows <= 12) return { row: 22, strip: 19 };
  if (rows <= 16) return { row: 20, strip: panels > 2 ? 22 : 15 };
  return { row: Math.max(5, Math.round(400 / rows)), strip: Math.max(5, Math.round(300 / rows)) };
}

/** Where everything stands, in CSS pixels. */
function layout(panels, width, apart, measure) {
  const ranks = panels.reduce((sum, panel) => sum + panel.ranks, 0);
  const size = sizes(ranks, panels.length);
  const notes = panels.flatMap((panel) => [...panel.busy, ...(panel.strip ? panel.strip.peaks : [])]);
  const right = width < 480 ? 12 : Math.max(16, ...notes.map((note) => measure(note) + 18));
  const left = 16 + measure(`rank ${Math.max(...panels.map((panel) => panel.ranks)) - 1}`);
  const place = { left, right: width - right, width, panels: [], end: Math.max(...panels.map((panel) => panel.end)) };
  let y = 2;
  panels.forEach((panel, number) => {
    const head = (number ? ONE_LINE : TWO_LINES) + (apart || !panel.strip ? 0 : 20);
    const here = apart ? placePanel(panel, y, y + head, size) : placeTogether(panel, y, y + head, ranks);
    here.first = number === 0;
    place.panels.push(here);
    y = here.bottom + 22;
  });
  place.axis = y - 18;
  place.height = place.axis + 38;
  return place;
}

const TWO_LINES = 48, ONE_LINE = 28, BETWEEN = 3, STRIP_HEAD = 26;

/** All rows of bars, then all strips. */
function placePanel(panel, y, bars, size) {
  const lanes = anyLane(panel) && !panel.several && panel.busy[0] === "";
  const row = lanes ? Math.max(size.row, 44) : size.row;
  const here = { y, rows: [], strips: [], bars, lanes };
  for (let rank = 0; rank < panel.ranks; rank++) here.rows.push({ y: here.bars + rank * (row + BETWEEN), h: row });
  here.bottom = here.bars + panel.ranks * (row + BETWEEN);
  if (panel.strip) {
    here.stripTitle = here.bottom + 17;
    const start = here.bottom + STRIP_HEAD;
    for (let rank = 0; rank < panel.ranks; rank++) here.strips.push({ y: start + rank * (size.strip + 4), h: size.strip });
    here.bottom = start + panel.ranks * (size.strip + 4);
  }
  return here;
}

/** Memory is the subject: each rank's bars as a low row right on top of its own tall strip. */
function placeTogether(panel, y, bars, ranks) {
  const tall = ranks === 1 ? 150 : ranks <= 4 ? 74 : ranks <= 8 ? 46 : 28;
  const low = ranks <= 8 ? 20 : 8;
  const here = { y, rows: [], strips: [], bars, together: true };
  let at = bars;
  for (let rank = 0; rank < panel.ranks; rank++) {
    here.rows.push({ y: at, h: low });
    here.strips.push({ y: at + low + 2, h: tall });
    at += low + tall + 14;
  }
  here.bottom = at - 6;
  return here;
}

function anyLane(panel) {
  for (let i = 0; i < panel.bar.length; i++) if (panel.bar.lane(i)) return true;
  return false;
}

/** The part of a row in which bar i is drawn. */
function barBox(panel, here, i, x) {
  const row = here.rows[panel.bar.rank(i)];
  const inset = panel.past.length && row.h >= 12 && !panel.bar.lane(i) ? Math.round(row.h * 0.17) : 0;
  const share = panel.bar.lane(i) ? (panel.busy[0] ? 0.26 : 0.48) : 1;
  const height = (row.h - 2 * inset) * share;
  const from = x(panel.bar.start(i));
  return { x: from, y: row.y + row.h - inset - height, w: Math.max(x(panel.bar.end(i)) - from, 0.6), h: height };
}

// --------------------------------------------------------------------------------------------------------- drawing

/** Colours of the notebook's theme at this moment. */
function themeOf(root) {
  const style = getComputedStyle(root);
  const paper = opaque(style.backgroundColor) || "rgb(255, 255, 255)";
  const [r, g, b] = paper.match(/[\d.]+/g).map(Number);
  const dark = 0.2126 * r + 0.7152 * g + 0.0722 * b < 110;
  const brand = style.getPropertyValue("--jp-brand-color1").trim() || "#1976d2";
  return {
    paper, ink: style.color, dark, brand, family: style.fontFamily,
    quiet: dark ? "#b9b9b9" : "#5a5a5a", grid: dark ? "#3a3a3a" : "#e4e4e4", hatch: dark ? "#5d5d5d" : "#c4c4c4",
    cap: dark ? "#ff8a80" : "#b00020", message: dark ? "#e3a4c6" : "#8f3b6c", note: dark ? "#26323a" : "#fffbe6",
  };
}

function opaque(colour) {
  const parts = (colour.match(/[\d.]+/g) || []).map(Number);
  return parts.length === 4 && parts[3] === 0 ? "" : colour;
}

function draw(scene) {
  const { ctx, place, panels, theme } = scene;
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, 0, place.width, place.height);
  drawGrid(scene);
  panels.forEach((panel, number) => {
    const here = place.panels[number];
    drawHead(scene, panel, here);
    clipped(scene, () => {
      if (panel.past.length) drawGhost(scene, panel, here);
      drawBars(scene, panel, here, number);
      drawMessages(scene, panel, here);
      if (panel.strip) drawStrips(scene, panel, here);
    });
    drawSides(scene, panel, here);
    drawMarks(scene, panel, here, number);
    drawCallouts(scene, panel, here);
  });
  drawAxis(scene);
}

/** Run `body` with nothing painted outside the time axis. */
function clipped({ ctx, place }, body) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(place.left - 1, 0, place.right - place.left + 2, place.height);
  ctx.clip();
  body();
  ctx.restore();
}

function text({ ctx, theme }, words, x, y, { colour = theme.ink, size = SMALL, bold = false, align = "left" } = {}) {
  ctx.font = `${bold ? "600 " : ""}${size}px ${theme.family}`;
  ctx.fillStyle = colour;
  ctx.textAlign = align;
  ctx.textBaseline = "middle";
  ctx.fillText(words, x, y);
}

/** Title, where the numbers come from, and for the first panel the legend; later panels say both in one line. */
function drawHead(scene, panel, here) {
  const { ctx, place, theme } = scene;
  const title = fitted(scene, panel.title, place.width - 16, 15, true);
  text(scene, title, 8, here.y + 12, { size: 15, bold: true });
  if (!here.first) {
    const from = 8 + ctx.measureText(title).width + 14;
    text(scene, fitted(scene, panel.origin, place.right - from, SMALL), from, here.y + 13, { colour: theme.quiet });
    return;
  }
  const legend = legendOf(scene);
  const wide = legend.reduce((sum, entry) => sum + entry.width, 0);
  let x = Math.max(place.right - wide, 8);
  const room = x - 24;
  text(scene, fitted(scene, panel.origin, room, SMALL), 8, here.y + 33, { colour: theme.quiet });
  for (const entry of legend) {
    swatch(scene, entry, x, here.y + 27);
    text(scene, entry.name, x + 18, here.y + 33);
    x += entry.width;
  }
}

/** Cut words to a width, with an ellipsis. */
function fitted({ ctx, theme }, words, room, size, bold = false) {
  ctx.font = `${bold ? "600 " : ""}${size}px ${theme.family}`;
  if (ctx.measureText(words).width <= room) return words;
  let cut = words.length;
  while (cut > 4 && ctx.measureText(words.slice(0, cut) + "…").width > room) cut--;
  return words.slice(0, cut) + "…";
}

/** Only the kinds that are there, in the palette's order. */
function legendOf(scene) {
  const { ctx, panels, colours, theme } = scene;
  const there = new Set();
  for (const panel of panels) for (let i = 0; i < panel.bar.length; i++) there.add(panel.bar.kind(i));
  ctx.font = `${SMALL}px ${theme.family}`;
  const entry = (paint) => ({ ...paint, width: 18 + ctx.measureText(paint.name).width + 14 });
  const entries = colours.bars.filter((_, kind) => there.has(kind)).map(entry);
  if (panels.some((panel) => panel.past.length)) entries.push(entry({ name: "prediction", fill: "", ghost: true }));
  if (entries.length) entries[entries.length - 1].width -= 14;
  return entries;
}

function swatch({ ctx, theme, hatch }, paint, x, y) {
  const box = [x + 0.5, y + 0.5, 12, 12];
  ctx.fillStyle = paint.ghost ? shade(theme) : paint.fill || hatch;
  ctx.fillRect(...box);
  ctx.strokeStyle = paint.edge || theme.quiet;
  ctx.setLineDash(paint.fill || paint.ghost ? [] : [2, 2]);
  ctx.lineWidth = 1;
  ctx.strokeRect(...box);
  ctx.setLineDash([]);
}

const shade = (theme) => (theme.dark ? "rgba(255,255,255,.16)" : "rgba(0,0,0,.08)");

function drawGhost({ ctx, theme, x }, panel, here) {
  const past = panel.past;
  ctx.fillStyle = shade(theme);
  ctx.strokeStyle = theme.quiet;
  ctx.lineWidth = 1;
  for (let i = 0; i < past.length; i++) {
    const row = here.rows[past.rank(i)], from = x(past.start(i)), to = x(past.end(i));
    ctx.fillRect(from, row.y, to - from, row.h);
    if (to - from > 3) ctx.strokeRect(from + 0.5, row.y + 0.5, to - from - 1, row.h - 1);
  }
}

function drawBars(scene, panel, here, number) {
  const { ctx, colours, theme, place, x, state } = scene;
  const related = state.pinned && state.pinned.panel === number ? relatives(panel, state.pinned.bar) : null;
  const labels = [];
  ctx.lineWidth = 1;
  for (let i = 0; i < panel.bar.length; i++) {
    const box = barBox(panel, here, i, x);
    if (box.x > place.right || box.x + box.w < place.left) continue;
    const paint = colours.bars[panel.bar.kind(i)];
    if (!paint.fill) { drawGap(scene, box, panel); continue; }
    ctx.globalAlpha = related && !related.has(i) ? 0.3 : 1;
    ctx.fillStyle = paint.fill;
    ctx.fillRect(box.x, box.y, box.w, box.h);
    if (box.w > 3) {
      ctx.strokeStyle = paint.edge;
      ctx.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
    }
    if (panel.several && box.w > 3) stripes(ctx, box, Math.floor(panel.bar.stage(i) / panel.ranks), paint);
    if (box.w >= LABEL_FROM && box.h >= 13) labels.push([i, box, paint.ink, ctx.globalAlpha]);
  }
  ctx.font = `${SMALL}px ${theme.family}`;
  ctx.textAlign = "center";
  ctx.textBaseline = "middle";
  for (const [i, box, ink, alpha] of labels) drawLabel(scene, panel, here, i, box, ink, alpha);
  ctx.globalAlpha = 1;
}

/** The second chunk of a rank has one stripe along its lower edge, the third two: where stages share a rank. */
function stripes(ctx, box, chunk, paint) {
  ctx.fillStyle = paint.ink;
  for (let k = 0; k < Math.min(chunk, 3); k++) ctx.fillRect(box.x + 1, box.y + box.h - 4 - 4 * k, box.w - 2, 2);
}

function drawGap({ ctx, theme, hatch }, box) {
  if (box.w < 1.5) return;
  ctx.fillStyle = hatch;
  ctx.fillRect(box.x + 1, box.y, box.w - 2, box.h);
  if (box.w < 4 || box.h < 8) return;
  ctx.strokeStyle = theme.hatch;
  ctx.setLineDash([2, 2]);
  ctx.strokeRect(box.x + 1.5, box.y + 0.5, box.w - 3, box.h - 1);
  ctx.setLineDash([]);
}

/** "F3", or only "3", or nothing, as there is room; the room is that part of the bar which is in view. */
function drawLabel(scene, panel, here, i, box, ink, alpha) {
  const { ctx, place } = scene;
  const from = Math.max(box.x, place.left), to = Math.min(box.x + box.w, place.right);
  for (const words of scene.labels(panel, i)) {
    if (scene.width(words) + 1 > to - from) continue;
    ctx.globalAlpha = alpha;
    ctx.fillStyle = ink;
    const upper = here.lanes && !panel.bar.lane(i);
    ctx.fillText(words, (from + to) / 2, box.y + box.h * (upper ? 0.27 : 0.5) + 0.5);
    return;
  }
}

/** Messages between ranks as curves, while there are few enough to follow with the eye. */
function drawMessages(scene, panel, here) {
  if (scene.state.pinned) return;
  const crossing = [];
  for (let k = 0; k < panel.pairs.length && crossing.length <= MOST_MESSAGES; k += 2) {
    const from = panel.pairs[k], to = panel.pairs[k + 1];
    if (panel.bar.rank(from) !== panel.bar.rank(to)) crossing.push([from, to]);
  }
  if (crossing.length <= MOST_MESSAGES) for (const [from, to] of crossing) arrow(scene, panel, here, from, to, scene.theme.ink, 1.5);
  if (crossing.length || panel.letter.length > 4 * MOST_MESSAGES) return;
  const { letter } = panel, { x, theme } = scene;
  for (let i = 0; i < letter.length; i++) {
    const a = here.rows[letter.source(i)], b = here.rows[letter.target(i)], down = b.y > a.y;
    curve(scene, [x(letter.sent(i)), a.y + a.h * (down ? 0.7 : 0.3)], [x(letter.received(i)), down ? b.y + 3 : b.y + b.h - 3], theme.ink, 1.5);
  }
}

const MOST_MESSAGES = 16;

/** From the end of one bar into the start of another. */
function arrow(scene, panel, here, from, to, colour, width) {
  const { x } = scene;
  const a = barBox(panel, here, from, x), b = barBox(panel, here, to, x);
  if (panel.bar.rank(from) === panel.bar.rank(to)) {
    loop(scene, [a.x + a.w - Math.min(5, a.w / 2), a.y + 2], [b.x + Math.min(6, b.w / 2), b.y - 1], colour, width);
    return;
  }
  const out = a.x + a.w - Math.min(7, a.w / 2), into = b.x + Math.min(8, b.w / 2), down = b.y > a.y;
  curve(scene, [out, a.y + a.h * (down ? 0.72 : 0.28)], [into, b.y + b.h * (down ? 0.22 : 0.78)], colour, width);
}

/** A line that leaves and arrives upright, with a dot at its start, a point at its end and a light edge around it. */
function curve({ ctx, theme }, start, stop, colour, width) {
  const middle = (start[1] + stop[1]) / 2, sign = Math.sign(stop[1] - start[1]) || 1;
  for (const [paint, wide] of [[theme.paper, width + 2.5], [colour, width]]) {
    ctx.strokeStyle = ctx.fillStyle = paint;
    ctx.lineWidth = wide;
    ctx.beginPath();
    ctx.moveTo(...start);
    ctx.bezierCurveTo(start[0], middle, stop[0], middle, stop[0], stop[1] - 4 * sign);
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(...start, wide + 0.5, 0, 7);
    ctx.fill();
    tip(ctx, stop, sign * Math.PI / 2, 5 + wide);
  }
}

/** Over the top from one bar to a later one of the same row. */
function loop({ ctx, theme }, start, stop, colour, width) {
  const lift = Math.min(start[1], stop[1]) - 9;
  for (const [paint, wide] of [[theme.paper, width + 2.5], [colour, width]]) {
    ctx.strokeStyle = ctx.fillStyle = paint;
    ctx.lineWidth = wide;
    ctx.beginPath();
    ctx.moveTo(...start);
    ctx.bezierCurveTo(start[0], lift, stop[0], lift, stop[0], stop[1] - 3);
    ctx.stroke();
    tip(ctx, [stop[0], stop[1] + 3], Math.PI / 2, 5 + wide);
  }
}

function tip(ctx, [px, py], angle, size) {
  ctx.beginPath();
  ctx.moveTo(px, py);
  for (const turn of [2.65, -2.65]) ctx.lineTo(px + size * Math.cos(angle + turn), py + size * Math.sin(angle + turn));
  ctx.closePath();
  ctx.fill();
}

function relatives(panel, bar) {
  const found = new Set([bar]);
  for (const [from, to] of pairsOf(panel, bar)) { found.add(from); found.add(to); }
  return found;
}

function pairsOf(panel, bar) {
  const found = [];
  for (let k = 0; k < panel.pairs.length; k += 2)
    if (panel.pairs[k] === bar || panel.pairs[k + 1] === bar) found.push([panel.pairs[k], panel.pairs[k + 1]]);
  return found;
}

const HEADROOM = 1.1;

/** What each rank holds: stacked steps under a dashed cap. Counts get a line per microbatch where there is room. */
function drawStrips(scene, panel, here) {
  const { ctx, theme, x, place } = scene;
  const strip = panel.strip, top = scene.top * HEADROOM;
  here.strips.forEach((box, rank) => {
    const y = (value) => box.y + box.h - (value / top) * (box.h - 2);
    const steps = panel.steps[rank], { rows, width, at } = steps;
    const until = Math.max(panel.end, at[(rows - 1) * width] || 0);
    const edges = Array.from({ length: rows + 1 }, (_, i) => x(i < rows ? Math.max(at[i * width], 0) : until));
    const high = new Float32Array(rows);
    strip.names.forEach((name, column) => area(scene, steps, column + 1, high, edges, y, paintOf(scene, name)));
    if (strip.counts && (box.h - 2) / top >= 2.5) units(scene, high, edges, y);
    ctx.strokeStyle = theme.hatch;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(place.left, box.y + box.h + 0.5);
    ctx.lineTo(x(panel.end), box.y + box.h + 0.5);
    ctx.stroke();
    if (strip.cap === null) return;
    over(scene, high, strip.cap, edges, y);
    dashed(scene, y(strip.cap));
  });
}

const paintOf = ({ colours }, name) => colours.memory[name] || colours.memory.parameter;

/** One layer of the stack; `high` carries the upper edge of the layers below and is raised in place. */
function area({ ctx }, { rows, width, at }, column, high, edges, y, paint) {
  const low = high.slice();
  for (let i = 0; i < rows; i++) high[i] += at[i * width + column];
  ctx.fillStyle = paint.fill;
  fillBetween(ctx, low, high, edges, y);
  ctx.strokeStyle = paint.edge;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let i = 0; i < rows; i++) {
    if (y(low[i]) - y(high[i]) < 1.5) continue;
    ctx.moveTo(edges[i], y(high[i]));
    ctx.lineTo(edges[i + 1], y(high[i]));
  }
  ctx.stroke();
}

/** What stands above the cap, in the cap's colour. */
function over({ ctx, theme }, high, cap, edges, y) {
  ctx.fillStyle = theme.cap;
  ctx.globalAlpha = 0.8;
  fillBetween(ctx, high.map(() => cap), high.map((held) => Math.max(held, cap)), edges, y);
  ctx.globalAlpha = 1;
}

/** One staircase, there and back. A path of thousands of rectangles takes a browser far longer: every line of pixels
 *  would cross the sides of all of them, while it crosses this outline only where the height changes. */
function fillBetween(ctx, low, high, edges, y) {
  ctx.beginPath();
  for (let i = 0; i < high.length; i++) { ctx.lineTo(edges[i], y(high[i])); ctx.lineTo(edges[i + 1], y(high[i])); }
  for (let i = low.length - 1; i >= 0; i--) { ctx.lineTo(edges[i + 1], y(low[i])); ctx.lineTo(edges[i], y(low[i])); }
  ctx.fill();
}

/** A line under each microbatch that lies on another, as long as both stay. */
function units({ ctx, theme, top }, high, edges, y) {
  ctx.strokeStyle = theme.paper;
  ctx.globalAlpha = 0.55;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let unit = 1; unit < top; unit++)
    for (let i = 0; i < high.length; i++) {
      if (high[i] <= unit) continue;
      ctx.moveTo(edges[i], y(unit));
      while (high[i + 1] > unit) i++;
      ctx.lineTo(edges[i + 1], y(unit));
    }
  ctx.stroke();
  ctx.globalAlpha = 1;
}

function dashed({ ctx, theme, place }, y) {
  ctx.strokeStyle = theme.cap;
  ctx.lineWidth = 1.5;
  ctx.setLineDash([6, 4]);
  ctx.beginPath();
  ctx.moveTo(place.left, Math.round(y) + 0.5);
  ctx.lineTo(place.right, Math.round(y) + 0.5);
  ctx.stroke();
  ctx.setLineDash([]);
}

/** Names of the ranks at the left, what they come to at the right, and the strips' own line of words. */
function drawSides(scene, panel, here) {
  const { place, theme } = scene;
  const every = Math.max(1, Math.ceil(14 / ((here.rows[1] || { y: 99 }).y - here.rows[0].y)));
  here.rows.forEach((row, rank) => {
    if (rank % every) return;
    const y = row.y + row.h / 2 + 0.5;
    text(scene, `rank ${rank}`, place.left - 8, y, { align: "right" });
    if (place.width >= 480) text(scene, panel.busy[rank], place.right + 8, y, { colour: theme.quiet });
  });
  if (!panel.strip) return;
  if (!here.together) drawStripHead(scene, panel, 8, here.stripTitle);
  else drawStripHead(scene, panel, 8, here.bars - 15);
  const stride = here.strips.length > 1 ? here.strips[1].y - here.strips[0].y : 99;
  here.strips.forEach((box, rank) => {
    if (rank % Math.max(1, Math.ceil(14 / stride))) return;
    const y = box.y + box.h / 2 + 0.5;
    if (!here.together) text(scene, `rank ${rank}`, place.left - 8, y, { align: "right" });
    if (place.width >= 480) text(scene, panel.strip.peaks[rank], place.right + 8, y, { colour: theme.quiet });
  });
}

function stripHead(scene, panel) {
  const { ctx, theme, colours } = scene;
  const strip = panel.strip;
  ctx.font = `${SMALL}px ${theme.family}`;
  const parts = [{ words: strip.title, width: ctx.measureText(strip.title).width + 16 }];
  for (const name of strip.counts && strip.names.length === 1 ? [] : strip.names)
    parts.push({ words: name, paint: paintOf(scene, name), width: ctx.measureText(name).width + 32 });
  if (strip.capLabel) parts.push({ words: strip.capLabel, cap: true, width: ctx.measureText(strip.capLabel).width + 40 });
  return { parts, wide: parts.reduce((sum, part) => sum + part.width, 0) };
}

function drawStripHead(scene, panel, x, y) {
  const { ctx, theme } = scene;
  for (const part of stripHead(scene, panel).parts) {
    let at = x;
    if (part.paint) { swatch(scene, part.paint, x, y - 6); at += 18; }
    if (part.cap) {
      ctx.strokeStyle = theme.cap;
      ctx.lineWidth = 1.5;
      ctx.setLineDash([6, 4]);
      ctx.beginPath();
      ctx.moveTo(x, y);
      ctx.lineTo(x + 20, y);
      ctx.stroke();
      ctx.setLineDash([]);
      at += 26;
    }
    text(scene, part.words, at, y, { colour: part.cap ? theme.cap : part.paint ? theme.ink : theme.quiet });
    x += part.width;
  }
}

/** Outlines of what is pointed at, focused and pinned, with arrows to what the pinned bar needs and feeds. */
function drawMarks(scene, panel, here, number) {
  const { ctx, theme, state, x } = scene;
  const outline = (target, colour, width) => {
    if (!target || target.panel !== number || target.bar >= panel.bar.length) return;
    const box = barBox(panel, here, target.bar, x);
    ctx.strokeStyle = colour;
    ctx.lineWidth = width;
    ctx.strokeRect(box.x - 0.5, box.y - 0.5, box.w + 1, box.h + 1);
  };
  clipped(scene, () => {
    outline(state.hovered, theme.ink, 2);
    outline(state.pinned, theme.ink, 2.5);
    if (state.keys) outline(state.focused, theme.brand, 3);
    if (state.pinned && state.pinned.panel === number)
      for (const [from, to] of pairsOf(panel, state.pinned.bar)) arrow(scene, panel, here, from, to, theme.ink, 1.75);
  });
}

// Callouts: a note is put where it covers the least work, and a line leads to its point.

function drawCallouts(scene, panel, here) {
  const { ctx, theme, place, x } = scene;
  const taken = [];
  for (const [rank, time, words, where] of panel.callouts) {
    const row = where === "memory" && here.strips.length ? here.strips[rank] : here.rows[rank];
    const point = [x(time), row.y + row.h / 2];
    if (point[0] < place.left || point[0] > place.right) continue;
    const box = bestPlace(scene, panel, here, point, scene.width(words) + 14, taken);
    taken.push(box);
    const foot = [clamp(point[0], box.x + 6, box.x + box.w - 6), point[1] < box.y ? box.y : box.y + box.h];
    ctx.strokeStyle = ctx.fillStyle = theme.ink;
    ctx.lineWidth = 1;
    ctx.beginPath();
    ctx.moveTo(...point);
    ctx.lineTo(...foot);
    ctx.stroke();
    ctx.beginPath();
    ctx.arc(...point, 3, 0, 7);
    ctx.fill();
    ctx.fillStyle = theme.note;
    ctx.beginPath();
    ctx.roundRect(box.x, box.y, box.w, box.h, 4);
    ctx.fill();
    ctx.stroke();
    text(scene, words, box.x + 7, box.y + box.h / 2 + 0.5);
  }
}

const clamp = (value, low, high) => Math.max(low, Math.min(high, value));

function bestPlace({ place, x }, panel, here, [px, py], w, taken) {
  const h = 22;
  let best = null;
  for (const dy of [-44, 22, -64, 42, -84, 62, -104, 84])
    for (const dx of [-w / 2, -w - 10, 10, -w - 40, 40]) {
      const box = { x: clamp(px + dx, place.left + 2, place.right - w - 2), y: py + dy, w, h };
      let cost = Math.hypot(box.x + w / 2 - px, box.y + h / 2 - py) * 4;
      if (box.y < here.bars - 4 || box.y + h > here.bottom + 4) cost += 20000;
      for (const other of taken) cost += overlap(box, other) * 20;
      for (let i = 0; i < panel.bar.length; i++)
        cost += overlap(box, barBox(panel, here, i, x)) * (panel.bar.stage(i) < 0 ? 0.05 : 1);
      if (here.stripTitle) cost += overlap(box, { x: 0, y: here.stripTitle - 9, w: place.width, h: 18 }) * 2;
      if (!best || cost < best.cost) best = { ...box, cost };
    }
  return best;
}

function overlap(a, b) {
  const w = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x), h = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  return w > 0 && h > 0 ? w * h : 0;
}

// The axis: round steps of 1, 2 or 5, labels at least 56 px apart, the unit at the right end.

function ticksOf(scene) {
  const { place, view, unit } = scene;
  const scale = unit === "s" && view[1] - view[0] < 1 ? 1000 : 1;
  const least = ((view[1] - view[0]) * scale * 56) / (place.right - place.left);
  const power = 10 ** Math.floor(Math.log10(least));
  let step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= least) || 10 * power;
  if (unit === "slots" && view[1] - view[0] >= 4) step = Math.max(1, step);
  const ticks = [];
  for (let k = Math.ceil((view[0] * scale) / step - 1e-6); k * step <= view[1] * scale + 1e-6; k++)
    ticks.push([(k * step) / scale, String(+(k * step).toPrecision(8))]);
  // the whole length is worth a label of its own: it is the number a schedule is judged by
  const last = ticks[ticks.length - 1];
  if (unit === "slots" && place.end <= view[1] && last && last[0] < place.end) {
    if (scene.x(place.end) - scene.x(last[0]) < 30) ticks.pop();
    ticks.push([place.end, say(unit, place.end)]);
  }
  return { ticks, name: unit === "slots" ? "slots" : scale === 1000 ? "ms" : "s" };
}

function drawGrid(scene) {
  const { ctx, place, theme, x } = scene;
  ctx.strokeStyle = theme.grid;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (const [time] of ticksOf(scene).ticks)
    for (const here of place.panels) {
      const at = Math.round(x(time)) + 0.5;
      ctx.moveTo(at, here.bars - 3);
      ctx.lineTo(at, here.bottom + 2);
    }
  ctx.stroke();
}

function drawAxis(scene) {
  const { ctx, place, theme, x } = scene;
  const { ticks, name } = ticksOf(scene);
  ctx.strokeStyle = theme.quiet;
  ctx.lineWidth = 1;
  ctx.beginPath();
  ctx.moveTo(place.left, place.axis + 0.5);
  ctx.lineTo(place.right, place.axis + 0.5);
  for (const [time] of ticks) {
    ctx.moveTo(Math.round(x(time)) + 0.5, place.axis);
    ctx.lineTo(Math.round(x(time)) + 0.5, place.axis + 5);
  }
  ctx.stroke();
  for (const [time, words] of ticks) text(scene, words, x(time), place.axis + 15, { align: "center" });
  text(scene, `time in ${name} →`, place.right, place.axis + 30, { align: "right", colour: theme.quiet });
}

// ----------------------------------------------------------------------------------------------------------- words

const PASSES = { F: "forward", B: "backward", I: "input gradient", W: "weight gradient" };

/** A length or a point of time in the unit of the panel. */
function say(unit, time) {
  if (unit === "slots") return String(+time.toFixed(3));
  return Math.abs(time) >= 1 ? `${time.toFixed(2)} s` : `${Math.round(time * 1000)} ms`;
}

const long = (unit, time) => (unit === "slots" ? `${say(unit, time)} slot${+time.toFixed(3) === 1 ? "" : "s"}` : say(unit, time));

function nameOf(scene, panel, i) {
  const paint = scene.colours.bars[panel.bar.kind(i)];
  if (panel.bar.stage(i) >= 0) {
    const stage = panel.bar.stage(i), microbatch = panel.bar.microbatch(i);
    return `${stage}${paint.letter}${microbatch}`;
  }
  return panel.names[panel.bar.name(i)] || paint.name;
}

/** The sentence for one bar or gap. */
function readBar(scene, { panel: number, bar: i }) {
  const panel = scene.panels[number], { bar, unit } = panel;
  const rank = bar.rank(i), from = say(unit, bar.start(i)), to = say(unit, bar.end(i)), took = long(unit, bar.end(i) - bar.start(i));
  if (bar.kind(i) === scene.colours.idle) return `Rank ${rank} is idle from ${from} to ${to} (${took}).`;
  let words = `${nameOf(scene, panel, i)} on rank ${rank}: `;
  if (bar.stage(i) >= 0) {
    const paint = scene.colours.bars[bar.kind(i)];
    words += `${PASSES[paint.letter]} of microbatch ${bar.microbatch(i)}${panel.several ? `, stage ${bar.stage(i)}` : ""}, `;
  }
  words += `from ${from} to ${to} (${took}).`;
  if (bar.stage(i) >= 0 && bar.name(i) >= 0) words += ` ${capital(panel.names[bar.name(i)])}.`;
  const planned = ghostOf(panel, i);
  if (planned !== null) words += ` Predicted ${say(unit, planned[0])} to ${say(unit, planned[1])}${lateness(unit, bar.end(i) - planned[1])}.`;
  return words;
}

const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

function lateness(unit, late) {
  if (Math.abs(late) < (unit === "slots" ? 1e-3 : 5e-4)) return "";
  return `: ${long(unit, Math.abs(late))} ${late > 0 ? "late" : "early"}`;
}

function ghostOf({ bar, past }, i) {
  if (bar.stage(i) < 0) return null;
  for (let k = 0; k < past.length; k++)
    if (past.kind(k) === bar.kind(i) && past.stage(k) === bar.stage(i) && past.microbatch(k) === bar.microbatch(i))
      return [past.start(k), past.end(k)];
  return null;
}

/** What a pinned bar needs and feeds, in words. */
function relations(scene, { panel: number, bar }) {
  const panel = scene.panels[number], need = [], feed = [];
  for (const [from, to] of pairsOf(panel, bar)) (to === bar ? need : feed).push(from === bar ? to : from);
  const list = (found) => found.map((i) => `${nameOf(scene, panel, i)} (rank ${panel.bar.rank(i)})`).join(" and ");
  const parts = [];
  if (need.length) parts.push(`needs ${list(need)}`);
  if (feed.length) parts.push(`feeds ${list(feed)}`);
  return parts.length ? ` Pinned: ${parts.join(", ")}.` : " Pinned.";
}

const UNITS = ["B", "kB", "MB", "GB", "TB"];

function amount(size) {
  let unit = 0;
  while (Math.abs(size) >= 999.5 && unit < 4) { size /= 1000; unit++; }
  return `${unit === 0 || Math.abs(size) >= 99.95 ? size.toFixed(0) : size.toFixed(1)} ${UNITS[unit]}`;
}

const shared = (panel) => panel.strip.title.includes("shares");

/** What a rank holds at one moment, for a pointer on its strip. */
function readStrip(panel, rank, time) {
  const { rows, width, at } = panel.steps[rank];
  let row = -1;
  while (row + 1 < rows && at[(row + 1) * width] <= time) row++;
  const held = panel.strip.names.map((name, column) => [name, row < 0 ? 0 : at[row * width + 1 + column]]);
  const when = `Rank ${rank} at ${say(panel.unit, time)}: `;
  const sum = held.reduce((total, [, bytes]) => total + bytes, 0);
  const waiting = held.length > 1 && held[1][1] ? `, ${held[1][1]} of them waiting for W` : "";
  if (panel.strip.counts) return `${when}${sum} ${shared(panel) ? "in flight, in shares of a whole rank" : `${panel.several ? `chunk${sum === 1 ? "" : "s"}` : `microbatch${sum === 1 ? "" : "es"}`} in flight`}${waiting} (${panel.strip.peaks[rank]}).`;
  return `${when}${amount(sum)} held: ${held.filter(([, bytes]) => bytes > 0).map(([name, bytes]) => `${name} ${amount(bytes)}`).join(", ")}.`;
}

// ----------------------------------------------------------------------------------------------------------- table

/** The picture as a real table, made when it is asked for. */
function fillTable(element, scene) {
  element.replaceChildren();
  for (const panel of scene.panels) {
    const made = document.createElement("table");
    made.createCaption().textContent = `${panel.title} (${panel.origin})`;
    const first = made.createTHead().insertRow();
    for (const words of ["Rank", "What", "From", "To", "Takes"]) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.textContent = words;
      first.append(cell);
    }
    const body = made.createTBody();
    panel.rows.forEach((row, rank) => {
      for (const i of row) {
        const line = body.insertRow();
        const cells = [rank, nameOf(scene, panel, i), say(panel.unit, panel.bar.start(i)), say(panel.unit, panel.bar.end(i)),
          long(panel.unit, panel.bar.end(i) - panel.bar.start(i))];
        for (const words of cells) line.insertCell().textContent = words;
      }
    });
    element.append(made);
  }
}

// ---------------------------------------------------------------------------------------------------------- render

/** The elements of one view. */
function build(el) {
  const root = document.createElement("div");
  root.className = "minipar-timeline";
  root.innerHTML = `<style>${STYLE}</style><canvas tabindex="0" role="img" data-lm-suppress-shortcuts="true"></canvas>
    <div class="minipar-foot"><div class="minipar-readout" role="status" aria-live="polite"></div>
    <div class="minipar-tools">
      <button data-do="reading" title="Read the idle time as a share of all time, or against useful time (key i)"></button>
      <button data-do="in" title="Zoom in (key +, or the wheel after a click)" aria-label="Zoom in">+</button>
      <button data-do="out" title="Zoom out (key -)" aria-label="Zoom out">−</button>
      <button data-do="all" title="Show all of it (key 0)">whole step</button>
      <button data-do="table" aria-pressed="false" title="The same as a table (key t)">as table</button>
    </div></div><div class="minipar-table" hidden></div>`;
  el.append(root);
  const [canvas, readout, tableBox] = ["canvas", ".minipar-readout", ".minipar-table"].map((name) => root.querySelector(name));
  const button = (name) => root.querySelector(`[data-do=${name}]`);
  return { root, canvas, readout, tableBox, button };
}

/** Diagonal lines for idle time, one tile. */
function hatching(ctx, colour, ratio) {
  const tile = document.createElement("canvas"), size = 8;
  tile.width = tile.height = size * ratio;
  const pen = tile.getContext("2d");
  pen.scale(ratio, ratio);
  pen.strokeStyle = colour;
  pen.lineWidth = 1;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift - 1, size + 1);
    pen.lineTo(shift + size + 1, -1);
  }
  pen.stroke();
  const pattern = ctx.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix().scale(1 / ratio));
  return pattern;
}

class View {
  constructor(model, el) {
    this.model = model;
    this.parts = build(el);
    this.ctx = this.parts.canvas.getContext("2d");
    this.state = { hovered: null, focused: null, pinned: null, keys: false, reading: 0, strip: null };
    this.answers = new Map();
    this.widths = new Map();
    this.revision = 0;
    this.waiting = 0;
    this.receive();
    this.listen();
  }

  /** Take what Python sent; whatever was pointed at belonged to the old trace. */
  receive() {
    this.colours = this.model.get("colours");
    const head = this.model.get("head");
    this.apart = head.apart;
    this.serial = head.serial;
    this.panels = unpack(head, this.model.get("numbers"));
    this.unit = this.panels.length ? this.panels[0].unit : "slots";
    this.top = Math.max(1, ...this.panels.filter((panel) => panel.strip).map((panel) => Math.max(panel.strip.top, panel.strip.cap || 0)));
    Object.assign(this.state, { hovered: null, focused: null, pinned: null, strip: null });
    this.answers.clear();
    this.whole = [0, Math.max(...this.panels.map((panel) => panel.end), 1e-9)];
    this.view = [...this.whole];
    this.parts.canvas.setAttribute("aria-label", `Timeline. ${head.summary}`);
    if (!this.parts.tableBox.hidden) fillTable(this.parts.tableBox, this);
    this.nameReading();
    this.later();
  }

  /** Draw with the next frame, once, however many things changed. */
  later() {
    if (!this.waiting) this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  paint() {
    const { canvas, root } = this.parts;
    const width = root.clientWidth;
    if (!width || !this.panels.length) return;
    const ratio = window.devicePixelRatio || 1;
    const theme = themeOf(root);
    if (!this.theme || theme.family !== this.theme.family) this.widths.clear();
    this.theme = theme;
    this.place = layout(this.panels, width, this.apart, (words) => this.width(words));
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(this.place.height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(this.place.height * ratio);
      canvas.style.height = `${this.place.height}px`;
    }
    this.ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const key = `${theme.hatch} ${ratio}`;
    if (this.hatchKey !== key) { this.hatch = hatching(this.ctx, theme.hatch, ratio); this.hatchKey = key; }
    const { left, right } = this.place, [from, to] = this.view;
    const slope = (right - left) / (to - from);
    this.x = (time) => left + (time - from) * slope;
    draw(this);
    this.read();
    canvas.dataset.rev = String(++this.revision);
    canvas.minipar = this.plan();
  }

  /** Where rows and strips lie, for whoever wants to point at them (the browser tests do). */
  plan() {
    const middle = ({ y, h }) => y + h / 2, { left, right, panels } = this.place;
    return { left, right, view: this.view, rows: panels.flatMap(({ rows }) => rows.map(middle)), strips: panels.flatMap(({ strips }) => strips.map(middle)) };
  }

  /** Width of a text at 12 px, measured once. */
  width(words) {
    let known = this.widths.get(words);
    if (known === undefined) {
      this.ctx.font = `${SMALL}px ${this.theme.family}`;
      known = this.ctx.measureText(words).width;
      this.widths.set(words, known);
    }
    return known;
  }

  /** What may be written in a bar, longest first. */
  labels(panel, i) {
    const stage = panel.bar.stage(i);
    if (stage < 0) return [panel.names[panel.bar.name(i)] || ""];
    const letter = this.colours.bars[panel.bar.kind(i)].letter, microbatch = panel.bar.microbatch(i);
    const short = `${letter}${microbatch}`;
    return panel.several ? [`${stage}${short}`, short, `${microbatch}`] : [short, `${microbatch}`];
  }

  // -- what is read ------------------------------------------------------------------------------------------------

  read() {
    const { state, parts } = this;
    const target = state.hovered || (state.keys ? state.focused : null) || state.pinned;
    let words;
    if (state.strip) words = readStrip(this.panels[state.strip.panel], state.strip.rank, state.strip.time);
    else if (target) {
      words = readBar(this, target) + this.reason(target);
      if (state.pinned && same(target, state.pinned)) words += relations(this, target);
    } else words = this.panels.map((panel) => (this.panels.length > 1 ? `${panel.title}: ` : "") + panel.readings[state.reading]).join("\n");
    if (parts.readout.textContent !== words) parts.readout.textContent = words;
  }

  /** Why the rank waited: for a gap itself, for a bar the gap right before it. Python is asked once and answers later. */
  reason({ panel: number, bar: i }) {
    const panel = this.panels[number], { bar } = panel;
    if (bar.stage(i) < 0 && bar.kind(i) !== this.colours.idle) return "";
    const near = (panel.end || 1) * 1e-5;
    const isGap = (k) => bar.kind(k) === this.colours.idle;
    const gap = isGap(i) ? i : panel.rows[bar.rank(i)].find((k) => isGap(k) && Math.abs(bar.end(k) - bar.start(i)) < near);
    if (gap === undefined) return "";
    const key = `${number}:${gap}`;
    if (!this.answers.has(key)) {
      this.answers.set(key, "");
      const time = isGap(i) && this.pointer !== undefined && this.pointer > bar.start(gap) && this.pointer < bar.end(gap) ? this.pointer : (bar.start(gap) + bar.end(gap)) / 2;
      this.ask({ ask: "why", panel: number, rank: bar.rank(gap), time, gap });
    }
    const answer = this.answers.get(key);
    if (!answer) return "";
    return isGap(i) ? ` ${answer}` : ` Before it, idle for ${long(panel.unit, bar.end(gap) - bar.start(gap))}. ${answer}`;
  }

  /** Questions and answers carry the picture's serial number; what is about an older one is dropped. */
  ask(question) { this.model.send({ ...question, serial: this.serial }); }

  answer(content) {
    if (content.serial !== this.serial) return;
    if (content.answer === "why") this.answers.set(`${content.panel}:${content.gap}`, content.sentence);
    if (content.answer === "needs") this.panels[content.panel].pairs = Float32Array.from(content.pairs);
    this.later();
  }

  // -- pointing ----------------------------------------------------------------------------------------------------

  /** The bar or gap at a point of the canvas, or null. */
  hit(px, py) {
    if (!this.place || px < this.place.left || px > this.place.right) return null;
    const time = this.time(px);
    for (const [number, here] of this.place.panels.entries()) {
      const rank = here.rows.findIndex((row) => py >= row.y && py < row.y + row.h);
      if (rank < 0) continue;
      const panel = this.panels[number];
      let found = null;
      for (const i of panel.rows[rank]) {
        if (panel.bar.start(i) > time) break;
        if (panel.bar.end(i) <= time) continue;
        const box = barBox(panel, here, i, this.x);
        if (py >= box.y - 6 && (found === null || panel.bar.lane(i) <= 0 || py >= box.y)) found = i;
      }
      return found === null ? null : { panel: number, bar: found };
    }
    return null;
  }

  strip(px, py) {
    if (!this.place || px < this.place.left || px > this.place.right) return null;
    for (const [panel, here] of this.place.panels.entries()) {
      const rank = here.strips.findIndex((box) => py >= box.y && py <= box.y + box.h);
      if (rank >= 0) return { panel, rank, time: this.time(px) };
    }
    return null;
  }

  time(px) {
    const { left, right } = this.place;
    return this.view[0] + ((px - left) / (right - left)) * (this.view[1] - this.view[0]);
  }

  move(event) {
    const [px, py] = [event.offsetX, event.offsetY];
    if (this.drag) {
      const shift = ((this.drag.px - px) / (this.place.right - this.place.left)) * (this.drag.view[1] - this.drag.view[0]);
      if (Math.abs(this.drag.px - px) > 3) this.drag.moved = true;
      return this.look(this.drag.view[0] + shift, this.drag.view[1] + shift);
    }
    this.pointer = this.place ? this.time(px) : undefined;
    const target = this.hit(px, py);
    const strip = target ? null : this.strip(px, py);
    this.state.keys = false;
    if (same(target, this.state.hovered) && !strip && !this.state.strip) return;
    this.state.hovered = target;
    this.state.strip = strip;
    this.later();
  }

  click(event) {
    const target = this.hit(event.offsetX, event.offsetY);
    this.state.keys = false;
    this.state.focused = target || this.state.focused;
    this.pin(target);
  }

  /** Pin a bar, or let go of it when it is pinned already or nothing is meant. */
  pin(target) {
    const isBar = target && this.panels[target.panel].bar.kind(target.bar) !== this.colours.idle;
    this.state.pinned = isBar && !same(target, this.state.pinned) ? target : null;
    const panel = isBar && this.panels[target.panel];
    if (panel && panel.needsLater) {
      panel.needsLater = false;
      this.ask({ ask: "needs", panel: target.panel });
    }
    this.later();
  }

  // -- zooming -----------------------------------------------------------------------------------------------------

  /** Show from..to, kept inside the step and not shorter than a thousandth of it. */
  look(from, to) {
    const [low, high] = this.whole;
    const width = clamp(to - from, (high - low) / 1000, high - low);
    from = clamp(from, low, high - width);
    this.view = [from, from + width];
    this.later();
  }

  zoom(factor, around) {
    const [from, to] = this.view;
    this.look(around - (around - from) * factor, around + (to - around) * factor);
  }

  middle() {
    const { focused, pinned } = this.state, target = pinned || focused;
    if (!target) return (this.view[0] + this.view[1]) / 2;
    const { bar } = this.panels[target.panel];
    return (bar.start(target.bar) + bar.end(target.bar)) / 2;
  }

  wheel(event) {
    if (!(event.ctrlKey || event.metaKey || document.activeElement === this.parts.canvas)) return;
    event.preventDefault();
    event.stopPropagation();
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
      const shift = (event.deltaX / 600) * (this.view[1] - this.view[0]);
      this.look(this.view[0] + shift, this.view[1] + shift);
    } else this.zoom(Math.exp(clamp(event.deltaY, -200, 200) / 400), this.time(event.offsetX));
  }

  // -- keys --------------------------------------------------------------------------------------------------------

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const act = {
      ArrowRight: () => this.along(1), ArrowLeft: () => this.along(-1), ArrowDown: () => this.across(1), ArrowUp: () => this.across(-1),
      Home: () => this.along(-Infinity), End: () => this.along(Infinity), Enter: () => this.pin(this.state.focused), " ": () => this.pin(this.state.focused),
      Escape: () => this.free(), "+": () => this.zoom(0.7, this.middle()), "=": () => this.zoom(0.7, this.middle()),
      "-": () => this.zoom(1 / 0.7, this.middle()), 0: () => this.look(...this.whole), i: () => this.toggleReading(), t: () => this.toggleTable(),
    }[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    this.state.keys = true;
    this.state.hovered = this.state.strip = null;
    this.pointer = undefined;
    act();
    this.later();
  }

  /** One bar on along the rank; the first key press stands on the first bar. */
  along(by) {
    const at = this.state.focused;
    if (!at) {
      const first = this.panels[0].rows.find((row) => row.length);
      if (first) this.focus({ panel: 0, bar: first[0] });
      return;
    }
    const panel = this.panels[at.panel], row = panel.rows[panel.bar.rank(at.bar)];
    this.focus({ panel: at.panel, bar: row[clamp(row.indexOf(at.bar) + by, 0, row.length - 1)] });
  }

  /** The bar at the same time one rank up or down; over the last rank into the next panel. */
  across(by) {
    const at = this.state.focused;
    if (!at) { this.along(0); return; }
    const { bar } = this.panels[at.panel];
    const time = Math.max(bar.start(at.bar), Math.min(this.walkTime ?? bar.start(at.bar), bar.end(at.bar) - 1e-6));
    let { panel } = at, rank = bar.rank(at.bar) + by;
    if (rank < 0) { panel -= 1; rank = this.panels[panel] ? this.panels[panel].ranks - 1 : 0; }
    else if (rank >= this.panels[panel].ranks) { panel += 1; rank = 0; }
    if (!this.panels[panel]) return;
    const next = this.panels[panel], row = next.rows[rank];
    if (!row.length) return;
    const found = row.findLast((i) => next.bar.start(i) <= time + 1e-6) ?? row[0];
    this.focus({ panel, bar: found });
    this.walkTime = time;
  }

  focus(target) {
    this.state.focused = target;
    const { bar } = this.panels[target.panel], [from, to] = this.view;
    const start = bar.start(target.bar), end = bar.end(target.bar);
    this.walkTime = start;
    if (start < from || end > to) this.look(start - (to - from) * 0.3, start + (to - from) * 0.7);
  }

  /** Esc lets go of one thing at a time: the pin, the zoom, the bar. */
  free() {
    const zoomed = this.view[0] > this.whole[0] || this.view[1] < this.whole[1];
    if (this.state.pinned) this.state.pinned = null;
    else if (zoomed) this.look(...this.whole);
    else { this.state.focused = null; this.state.keys = false; }
  }

  toggleReading() {
    this.state.reading = 1 - this.state.reading;
    this.nameReading();
    this.state.keys = false;
    this.state.focused = this.state.pinned = null;
    this.later();
  }

  /** The button says which reading is shown; without a bubble there is nothing to choose. */
  nameReading() {
    const button = this.parts.button("reading");
    button.textContent = this.state.reading ? "idle ÷ useful" : "idle ÷ all";
    button.hidden = this.panels.every(({ readings }) => readings[0] === readings[1]);
  }

  toggleTable() {
    const { tableBox } = this.parts;
    tableBox.hidden = !tableBox.hidden;
    if (!tableBox.hidden) fillTable(tableBox, this);
    this.parts.button("table").setAttribute("aria-pressed", String(!tableBox.hidden));
  }

  // -- listening ---------------------------------------------------------------------------------------------------

  listen() {
    const { canvas, root } = this.parts;
    this.ends = [];
    const on = (target, name, does, options) => {
      target.addEventListener(name, does, options);
      this.ends.push(() => target.removeEventListener(name, does, options));
    };
    on(canvas, "pointermove", (event) => this.move(event));
    on(canvas, "pointerleave", () => { this.state.hovered = this.state.strip = null; this.pointer = undefined; this.later(); });
    on(canvas, "pointerdown", (event) => {
      const zoomed = this.view[1] - this.view[0] < this.whole[1] - this.whole[0];
      this.drag = zoomed ? { px: event.offsetX, view: [...this.view], moved: false } : null;
    });
    on(window, "pointerup", (event) => {
      const dragged = this.drag && this.drag.moved;
      this.drag = null;
      this.dragged = dragged && event.target === canvas;
    });
    on(canvas, "click", (event) => { if (this.dragged) this.dragged = false; else this.click(event); });
    on(canvas, "dblclick", () => this.look(...this.whole));
    on(canvas, "wheel", (event) => this.wheel(event), { passive: false });
    on(canvas, "keydown", (event) => this.key(event));
    on(canvas, "blur", () => { this.state.keys = false; this.later(); });
    on(canvas, "focus", () => { if (canvas.matches(":focus-visible")) { this.state.keys = true; if (!this.state.focused) this.along(0); this.later(); } });
    const tools = {
      reading: () => this.toggleReading(), table: () => this.toggleTable(), all: () => this.look(...this.whole),
      in: () => this.zoom(0.7, this.middle()), out: () => this.zoom(1 / 0.7, this.middle()),
    };
    for (const [name, does] of Object.entries(tools)) on(this.parts.button(name), "click", does);
    this.watch(root);
    const changed = () => { if (!this.stale) { this.stale = true; queueMicrotask(() => { this.stale = false; this.receive(); }); } };
    const told = (content) => this.answer(content);
    this.model.on("change:head", changed);
    this.model.on("change:numbers", changed);
    this.model.on("msg:custom", told);
    this.ends.push(() => {
      this.model.off("change:head", changed);
      this.model.off("change:numbers", changed);
      this.model.off("msg:custom", told);
    });
  }

  /** Draw again when the width, the theme or the pixel ratio changes. */
  watch(root) {
    const size = new ResizeObserver(() => this.later());
    size.observe(root);
    const theme = new MutationObserver(() => this.later());
    theme.observe(document.body, { attributes: true });
    theme.observe(document.documentElement, { attributes: true });
    let screen = null;
    const ratio = () => {
      if (screen) screen.removeEventListener("change", ratio);
      screen = window.matchMedia(`(resolution: ${window.devicePixelRatio}dppx)`);
      screen.addEventListener("change", ratio);
      this.later();
    };
    ratio();
    this.ends.push(() => { size.disconnect(); theme.disconnect(); screen.removeEventListener("change", ratio); });
  }

  end() {
    cancelAnimationFrame(this.waiting);
    for (const does of this.ends) does();
    this.parts.root.remove();
  }
}

function same(one, other) {
  return one === other || Boolean(one && other && one.panel === other.panel && one.bar === other.bar);
}

function render({ model, el }) {
  const view = new View(model, el);
  return () => view.end();
}

export default { render };
