// How is a grid of actions drawn, pointed at, and laid by hand?
//
//   model.head, model.numbers ──► layout ──► draw ──► canvas          a board: bars, arrows of values, waits
//                                   ▲                                 a puzzle: pieces, drawers, par too (head.play)
//   pointer, keys ──► cursor, drag ─┘ ──► messages {do: "place", ...} ──► Python, which knows the rules
//
// Nothing here knows what an action needs: whether a piece may go next, its reason, its start and the chain behind a bar
// come from Python. Times are counted from the step's start.

const SMALL = 12, BAR = 9;
const FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif";

// ----------------------------------------------------------------------------------------------------- what came in

/** Accessors over the bars, rows in order of time, and what each rank holds over time. */
function unpack(head, numbers) {
  const bytes = numbers ? new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength).slice() : new Uint8Array();
  const floats = new Float32Array(bytes.buffer), bar = { length: Math.floor(floats.length / BAR) };
  ["rank", "start", "end", "kind", "stage", "microbatch", "keeps", "parks", "part"].forEach((name, at) => { bar[name] = (i) => floats[i * BAR + at]; });
  const rows = Array.from({ length: head.ranks || 0 }, () => []);
  for (let i = 0; i < bar.length; i++) if (rows[bar.rank(i)]) rows[bar.rank(i)].push(i);
  for (const row of rows) row.sort((a, b) => bar.start(a) - bar.start(b) || bar.end(a) - bar.end(b));
  return { bar, rows, held: rows.map((row) => drawer(bar, row)) };
}

/** [time, held, parked of that] from then on: what is kept counts from a start, what is parked or let go from an end. */
function drawer(bar, row) {
  const changes = [];
  for (const i of row)
    if (bar.keeps(i) || bar.parks(i)) changes.push([bar.keeps(i) > 0 ? bar.start(i) : bar.end(i), bar.keeps(i), bar.parks(i)]);
  changes.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  let held = 0, parked = 0;
  return changes.map(([time, by, moved]) => [time, (held += by), (parked += moved)]);
}

// ---------------------------------------------------------------------------------------------------------- layout

/** Where everything stands, in CSS pixels. */
function layout(head, width) {
  const play = Boolean(head.play), ranks = head.ranks, few = ranks <= 4;
  const row = few ? (play && ranks === 4 ? 30 : 36) : ranks <= 8 ? 26 : Math.max(6, Math.round(210 / ranks)), strip = play ? (few ? 16 : ranks <= 8 ? 14 : 0) : 0;
  const between = play ? (few && ranks < 4 ? 7 : 5) : few ? 34 : ranks <= 8 ? 22 : Math.max(3, Math.round(150 / ranks));
  const place = { left: 62, right: width - (play ? 74 : (head.waits || []).length ? 300 : 16), width, rows: [], strips: [], trays: [], chips: [] };
  let y = play ? 20 : 8;
  for (let rank = 0; rank < ranks; rank++) {
    place.rows.push({ y, h: row });
    y += row + 2;
    if (strip) { place.strips.push({ y, h: strip }); y += strip; }
    y += between;
  }
  place.bottom = y - between + 4;
  place.axis = place.bottom;
  y = place.axis + (play ? 24 : 32);
  if (play) {
    place.trayTitle = y + 8;
    y += 20;
    for (let rank = 0; rank < ranks; rank++) {
      const h = few ? 28 : 24;
      if (head.of === head.bars) { place.trays.push({ y, h: 0 }); place.chips.push([]); continue; }
      place.trays.push({ y, h });
      place.chips.push(chipsOf(head.pieces[rank], place.left, width - 6, y, h));
      y += h + 4;
    }
  }
  place.height = y + 2;
  return place;
}

function chipsOf(pieces, left, right, y, h) {
  let groups = 0, last = "";
  for (const one of pieces) { const group = one.stage + one.op; if (group !== last) groups += 1; last = group; }
  const step = Math.min(48, Math.max(20, (right - left - 12 * groups) / Math.max(1, pieces.length)));
  let x = left;
  last = pieces.length ? pieces[0].stage + pieces[0].op : "";
  return pieces.map((one) => {
    const group = one.stage + one.op;
    if (group !== last) x += 12;
    last = group;
    const box = { x, y, w: step - 4, h };
    x += step;
    return box;
  });
}

function themeOf(node) {
  const style = getComputedStyle(node);
  const read = (name, other) => style.getPropertyValue(name).trim() || other;
  const paper = read("--jp-layout-color0", "#ffffff"), probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = paper;
  const hex = probe.fillStyle.startsWith("#") ? probe.fillStyle : "#ffffff";
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  const dark = 0.299 * red + 0.587 * green + 0.114 * blue < 128;
  return {
    dark, paper, ink: dark ? "#f0f0f0" : "#1f1f1f", quiet: dark ? "#b8b8b8" : "#5a5a5a", grid: dark ? "#3a3a3a" : "#e6e6e6",
    cap: dark ? "#ff8a80" : "#b00020", glow: dark ? "#ffd54f" : "#1f1f1f", held: "#5b9fca", parked: "#009e73", family: read("--jp-ui-font-family", FONT),
    forward: dark ? "#6bb8ea" : "#00507d", back: dark ? "#e69f00" : "#8a5f00",
  };
}

// --------------------------------------------------------------------------------------------------------- drawing

function draw(view) {
  const { ctx, place, theme, head } = view;
  ctx.fillStyle = theme.paper;
  ctx.fillRect(0, 0, place.width, place.height);
  ctx.lineWidth = 1;
  drawAxis(view);
  drawBars(view);
  drawPath(view);
  drawArrows(view);
  if (head.play) { drawDrawers(view); drawGhost(view); drawTrays(view); } else drawWaits(view);
  drawCursor(view);
  drawDrag(view);
}

function text({ ctx, theme }, words, x, y, { size = SMALL, align = "left", colour = theme.ink, bold = false } = {}) {
  ctx.font = `${bold ? "600 " : ""}${size}px ${theme.family}`;
  ctx.textAlign = align;
  ctx.textBaseline = "middle";
  ctx.fillStyle = colour;
  ctx.fillText(words, x, y);
}

function drawAxis(view) {
  const { ctx, place, theme, head } = view;
  const step = nice((head.end * 46) / Math.max(60, place.right - place.left)), top = place.rows[0].y - 4;
  ctx.strokeStyle = theme.grid;
  ctx.beginPath();
  for (let time = 0; time <= head.end + 1e-6; time += step) {
    const x = Math.round(view.x(time)) + 0.5;
    ctx.moveTo(x, top);
    ctx.lineTo(x, place.axis);
  }
  ctx.stroke();
  for (let time = 0; time <= head.end + 1e-6; time += step) text(view, short(time), view.x(time), place.axis + 10, { align: "center", colour: theme.quiet });
  text(view, head.unit === "slots" ? "slots" : head.unit, place.left - 8, place.axis + 10, { align: "right", colour: theme.quiet });
  place.rows.forEach(({ y, h }, rank) => text(view, `rank ${rank}`, 4, y + h / 2, { size: h >= 20 ? 14 : SMALL, bold: true }));
  if (head.par === undefined) return;
  const x = Math.round(view.x(head.par)) + 0.5;
  ctx.strokeStyle = "#009e73";
  ctx.lineWidth = 2;
  ctx.setLineDash([6, 4]);
  line(ctx, x, 16, x, place.axis);
  ctx.setLineDash([]);
  ctx.lineWidth = 1;
  text(view, `par ${short(head.par)}`, x, 8, { align: "center", bold: true, size: 13 });
}

function nice(least) {
  if (least <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((one) => one * power).find((one) => one >= least);
}

const short = (time) => String(+time.toFixed(3));

function line(ctx, a, b, c, d) {
  ctx.beginPath();
  ctx.moveTo(a, b);
  ctx.lineTo(c, d);
  ctx.stroke();
}

function boxOf(view, i) {
  const { bar } = view.data, row = view.place.rows[bar.rank(i)], from = view.x(bar.start(i));
  const half = bar.part(i) ? row.h / 2 : row.h;
  return { x: from, y: row.y + (bar.part(i) === 2 ? half : 0), w: view.x(bar.end(i)) - from, h: half };
}

function drawBars(view) {
  const { ctx, colours, theme, head, data: { bar } } = view, labels = [];
  for (let i = 0; i < bar.length; i++) {
    const box = boxOf(view, i), paint = colours.bars[bar.kind(i)];
    ctx.globalAlpha = view.drag && view.drag.bar === i ? 0.3 : 1;
    ctx.fillStyle = paint.fill;
    ctx.fillRect(box.x, box.y, box.w, box.h);
    if (box.w > 3) {
      ctx.strokeStyle = paint.edge;
      ctx.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
    }
    if (head.several && bar.stage(i) >= head.ranks && box.w > 3) {  // a rank's second stage: a light band
      ctx.fillStyle = "rgba(255,255,255,.55)";
      ctx.fillRect(box.x + 1, box.y + 1, box.w - 2, 4);
    }
    if (box.w >= 15 && box.h >= 13) labels.push([i, box, paint]);
  }
  ctx.globalAlpha = 1;
  for (const [i, box, paint] of labels) label(view, box, paint, bar.stage(i), bar.microbatch(i));
  ctx.strokeStyle = theme.grid;
}

/** "0F1", or "F1", or "1", as there is room. */
function label(view, box, paint, stage, microbatch, ink = paint.ink) {
  const whole = `${stage}${paint.letter}${microbatch}`, large = box.h >= 24 ? [[whole, 15], [whole, 13]] : [];
  for (const [words, size] of [...large, [whole, SMALL], [`${paint.letter}${microbatch}`, SMALL], [`${microbatch}`, SMALL]]) {
    if (view.width(words, size) + 3 > box.w) continue;
    text(view, words, box.x + box.w / 2, box.y + box.h / 2 + 0.5, { size, align: "center", colour: ink, bold: true });
    return;
  }
}

/** The chain that a bar waited for: heavy edges and a line from each to the next. */
function drawPath(view) {
  const { ctx, theme, data: { bar } } = view, path = view.told && view.told.path;
  if (!path || path.some((i) => i >= bar.length)) return;
  ctx.strokeStyle = theme.glow;
  ctx.lineWidth = 3;
  for (const i of path) {
    const box = boxOf(view, i);
    ctx.strokeRect(box.x + 1.5, box.y + 1.5, Math.max(1, box.w - 3), box.h - 3);
  }
  ctx.lineWidth = 1;
}

/** Values from maker to reader. A puzzle shows those of what is pointed at; a board shows all while they are few. */
function drawArrows(view) {
  const { head, told, data: { bar } } = view;
  const own = told && told.pairs, pairs = own && own.length ? own : head.arrows || [];
  for (let k = 0; k + 1 < pairs.length; k += 2) {
    const [from, to] = [pairs[k], pairs[k + 1]];
    if (from >= bar.length || to >= bar.length || bar.rank(from) === bar.rank(to)) continue;
    const a = boxOf(view, from), b = boxOf(view, to), down = b.y > a.y;
    const forward = view.colours.bars[bar.kind(from)].letter === "F";
    arrow(view, [a.x + a.w - Math.min(6, a.w / 2), down ? a.y + a.h - 3 : a.y + 3], [b.x + Math.min(7, b.w / 2), down ? b.y : b.y + b.h],
      forward ? view.theme.forward : view.theme.back, own && own.length ? 2.5 : 1.5);
  }
}

function arrow({ ctx, theme }, [x, y], [tx, ty], colour, width) {
  const angle = Math.atan2(ty - y, tx - x), size = 6 + width;
  for (const [paint, wide] of [[theme.paper, width + 3], [colour, width]]) {
    ctx.strokeStyle = ctx.fillStyle = paint;
    ctx.lineWidth = wide;
    line(ctx, x, y, tx - 4 * Math.cos(angle), ty - 4 * Math.sin(angle));
  }
  ctx.beginPath();
  ctx.moveTo(tx, ty);
  for (const turn of [2.7, -2.7]) ctx.lineTo(tx + size * Math.cos(angle + turn), ty + size * Math.sin(angle + turn));
  ctx.fill();
  ctx.lineWidth = 1;
}

/** What each rank holds under its row, against its cap. */
function drawDrawers(view) {
  const { ctx, place, theme, head, data } = view;
  const most = Math.max(1, ...head.caps.map((cap) => cap || 0), ...data.held.map((steps) => Math.max(0, ...steps.map(([, held]) => held))));
  place.strips.forEach((box, rank) => {
    const steps = data.held[rank], cap = head.caps[rank], level = (held) => box.y + box.h - (held / most) * (box.h - 3);
    steps.forEach(([time, held, parked], at) => {
      const from = view.x(time), wide = Math.max(0, view.x(at + 1 < steps.length ? steps[at + 1][0] : head.makespan) - from);
      ctx.fillStyle = theme.held;
      if (held > 0) ctx.fillRect(from, level(held), wide, box.y + box.h - level(held));
      ctx.fillStyle = theme.parked;
      if (parked > 0) ctx.fillRect(from, level(held), wide, level(held - parked) - level(held));
    });
    ctx.strokeStyle = theme.quiet;
    line(ctx, place.left, box.y + box.h + 0.5, place.right, box.y + box.h + 0.5);
    if (cap !== null) {
      ctx.strokeStyle = theme.cap;
      ctx.lineWidth = 2;
      ctx.setLineDash([3, 3]);
      line(ctx, place.left, level(cap), place.right, level(cap));
      ctx.setLineDash([]);
      ctx.lineWidth = 1;
    }
    const full = cap !== null && head.held[rank] >= cap;
    text(view, "drawer", 4, box.y + box.h / 2 + 1, { colour: theme.quiet });
    text(view, cap === null ? `holds ${head.held[rank]}` : `${head.held[rank]} of ${cap}`, place.right + 8, box.y + box.h / 2 + 1,
      { colour: full ? theme.cap : theme.ink, bold: full, size: 13 });
  });
}

/** Where the piece under the cursor would lie, and which values it would take. */
function drawGhost(view) {
  const { ctx, theme, head, place } = view, at = view.hovered || (view.keys ? view.cursor : null);
  if (!at || at.zone !== "tray" || view.drag) return;
  const piece = head.pieces[at.rank][at.index];
  if (!piece) return;
  if (piece.start !== null) {
    const row = place.rows[at.rank], length = view.lengthOf(piece), from = view.x(piece.start), w = view.x(piece.start + length) - from;
    ctx.strokeStyle = theme.glow;
    ctx.lineWidth = 2;
    ctx.setLineDash([4, 3]);
    ctx.strokeRect(from + 1, row.y + 1, Math.max(2, w - 2), row.h - 2);
    ctx.setLineDash([]);
    ctx.lineWidth = 1;
    label(view, { x: from, y: row.y, w, h: row.h }, view.paintOf(piece.op), piece.stage, piece.microbatch, theme.ink);
    for (const i of piece.needs) {
      if (i >= view.data.bar.length || view.data.bar.rank(i) === at.rank) continue;
      const a = boxOf(view, i), down = row.y > a.y;
      arrow(view, [a.x + a.w - Math.min(6, a.w / 2), down ? a.y + a.h - 3 : a.y + 3], [from + Math.min(7, w / 2), down ? row.y : row.y + row.h], theme.glow, 2);
    }
  }
}

function drawTrays(view) {
  const { ctx, place, theme, head } = view;
  text(view, head.of === head.bars ? "All pieces are placed." : "Pieces: the coloured ones may go next", 4, place.trayTitle, { bold: true, size: 13 });
  if (head.lengths.W !== undefined) legend(view, [["waits for I", theme.held], ["waits for W", theme.parked]], place.right, place.trayTitle);
  place.trays.forEach((tray, rank) => {
    if (!tray.h) return;
    text(view, `rank ${rank}`, 4, tray.y + tray.h / 2, { size: 13 });
    head.pieces[rank].forEach((piece, at) => {
      const box = place.chips[rank][at], paint = view.paintOf(piece.op), lit = !piece.why;
      ctx.globalAlpha = view.drag && view.drag.name === piece.name ? 0.3 : 1;
      if (lit) {
        ctx.fillStyle = paint.fill;
        ctx.fillRect(box.x, box.y, box.w, box.h);
        ctx.strokeStyle = paint.edge;
        ctx.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
      } else {
        ctx.strokeStyle = theme.quiet;
        ctx.setLineDash([2, 3]);
        ctx.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
        ctx.setLineDash([]);
      }
      label(view, box, paint, piece.stage, piece.microbatch, lit ? paint.ink : theme.quiet);
      if (head.hint === piece.name) mark(view, box);
      ctx.globalAlpha = 1;
    });
  });
  const hinted = view.barNamed(head.hint);
  if (hinted >= 0) mark(view, boxOf(view, hinted));
}

/** What the colours of the drawers mean, ending at x. */
function legend(view, entries, x, y) {
  for (const [words, fill] of entries.reverse()) {
    text(view, words, x, y, { align: "right", colour: view.theme.quiet });
    x -= view.width(words, SMALL) + 18;
    view.ctx.fillStyle = fill;
    view.ctx.fillRect(x, y - 6, 12, 12);
    x -= 14;
  }
}

function mark({ ctx, theme }, box) {
  ctx.strokeStyle = theme.cap;
  ctx.lineWidth = 3;
  ctx.strokeRect(box.x - 2.5, box.y - 2.5, box.w + 5, box.h + 5);
  ctx.lineWidth = 1;
}

/** Where each stuck rank stands, and an arrow to the one it waits for; the circle is heavy. */
function drawWaits(view) {
  const { ctx, place, theme, head, data } = view, waits = head.waits || [];
  const ends = place.rows.map((row, rank) => {
    const last = data.rows[rank][data.rows[rank].length - 1];
    return last === undefined ? place.left : view.x(data.bar.end(last));
  });
  waits.forEach((wait) => {
    const row = place.rows[wait.rank], colour = wait.ring ? theme.cap : theme.quiet, x = ends[wait.rank];
    ctx.strokeStyle = colour;
    ctx.lineWidth = wait.ring ? 3 : 1.5;
    ctx.setLineDash([4, 3]);
    ctx.strokeRect(x + 3, row.y + 1, 76, row.h - 2);
    ctx.setLineDash([]);
    text(view, wait.label, x + 41, row.y + row.h / 2, { align: "center", colour, bold: true, size: 13 });
    text(view, wait.peer === null ? "nobody makes it" : `waits for rank ${wait.peer}`, place.right + 150, row.y + row.h / 2, { colour, bold: wait.ring, size: 14 });
  });
  for (const wait of waits) {
    if (wait.peer === null || wait.peer === wait.rank) continue;
    const down = wait.peer > wait.rank, x = place.right + (down ? 98 : 124), a = place.rows[wait.rank], b = place.rows[wait.peer];
    arrow(view, [x, down ? a.y + a.h * 0.5 : a.y + a.h * 0.5], [x, down ? b.y + 4 : b.y + b.h - 4], wait.ring ? theme.cap : theme.quiet, wait.ring ? 5 : 2);
  }
}

function drawCursor(view) {
  const { ctx, theme } = view;
  const at = view.cursor && (view.keys || view.cursor.zone === "grid") ? view.cursor : null;
  const box = at && view.boxAt(at);
  if (!box) return;
  ctx.lineWidth = 5;
  ctx.strokeStyle = theme.paper;
  ctx.strokeRect(box.x - 1, box.y - 1, box.w + 2, box.h + 2);
  ctx.lineWidth = 2.5;
  ctx.strokeStyle = theme.ink;
  ctx.strokeRect(box.x - 2, box.y - 2, box.w + 4, box.h + 4);
  ctx.lineWidth = 1;
}

/** What is being carried, and the gap that it would drop into. */
function drawDrag(view) {
  const { ctx, drag, theme, place } = view;
  if (!drag || !drag.moved) return;
  const to = view.dropAt(drag.px, drag.py), paint = view.paintOf(drag.op);
  if (to) {
    const row = place.rows[to.rank];
    ctx.fillStyle = theme.cap;
    ctx.fillRect(to.x - 2, row.y - 4, 4, row.h + 8);
  }
  ctx.globalAlpha = 0.85;
  ctx.fillStyle = paint.fill;
  ctx.fillRect(drag.px - 22, drag.py - 15, 44, 30);
  ctx.globalAlpha = 1;
  label(view, { x: drag.px - 22, y: drag.py - 15, w: 44, h: 30 }, paint, drag.stage, drag.microbatch);
}

// ------------------------------------------------------------------------------------------------------ around it

const BUTTONS = [
  ["undo", "Undo", "U"], ["hint", "Hint", "H"], ["fill", "Fill in the obvious", "A"], ["earlier", "◀ earlier", "Shift+←"],
  ["later", "later ▶", "Shift+→"], ["remove", "Take back", "Del"], ["again", "Start again", ""], ["run", "Run for real", "R"],
  ["stop", "Stop", ""], ["next", "Next level", "N"],
];

function element(tag, className, parent, words) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (words !== undefined) node.textContent = words;
  if (parent) parent.appendChild(node);
  return node;
}

/** The nodes of one board; those of a puzzle are hidden on a plain board. */
function nodes(el) {
  const root = element("div", "minipar-board", el), top = element("div", "minipar-board-top", root);
  const parts = { root, title: element("div", "minipar-board-title", top), levels: element("div", "minipar-board-levels", top) };
  parts.levels.setAttribute("role", "group");
  parts.levels.setAttribute("aria-label", "levels");
  parts.task = element("div", "minipar-board-task", root);
  parts.canvas = element("canvas", "", root);
  parts.canvas.tabIndex = 0;
  parts.canvas.setAttribute("role", "img");
  parts.tools = element("div", "minipar-board-tools", root);
  parts.buttons = Object.fromEntries(BUTTONS.map(([name, words, key]) => {
    const button = element("button", "", parts.tools, words);
    button.type = "button";
    if (key) button.title = `${words} (key ${key})`;
    return [name, button];
  }));
  const foot = element("div", "minipar-board-foot", root);
  parts.said = element("div", "minipar-board-said", foot);
  parts.said.setAttribute("role", "status");
  parts.said.setAttribute("aria-live", "polite");
  parts.written = element("label", "minipar-board-text", foot, "the same as text: one line a rank, read as you type");
  parts.area = element("textarea", "", parts.written);
  parts.area.spellcheck = false;
  return parts;
}

function fillParts(view) {
  const { parts, head } = view, can = head.can || {}, play = Boolean(head.play);
  parts.title.textContent = head.title || "";
  parts.task.hidden = parts.tools.hidden = !play;
  parts.written.hidden = !play || !head.writes;
  parts.canvas.setAttribute("aria-label", head.summary || "");
  if (!play) return;
  parts.task.replaceChildren();
  for (const [name, words] of [["Goal: ", head.goal], ["New: ", head.idea]]) {
    const part = element("span", "", parts.task);
    element("b", "", part, name);
    part.append(words);
  }
  fillLevels(view);
  const picked = view.picked() >= 0;
  const enabled = { undo: can.undo, hint: true, fill: can.fill, earlier: picked, later: picked, remove: picked, again: head.bars > 0, run: can.run, stop: can.stop, next: can.next };
  for (const [name, button] of Object.entries(parts.buttons)) button.disabled = !enabled[name];
  parts.buttons.fill.hidden = !can.fill;
  parts.buttons.run.hidden = !can.runs;
  parts.buttons.stop.hidden = !can.stop;
  parts.buttons.next.hidden = head.levels.length < 2;
  parts.buttons.next.className = can.next ? "minipar-board-strong" : "";
  parts.area.rows = Math.min(9, head.ranks + 1);
  if (document.activeElement !== parts.area && parts.area.value !== head.text) parts.area.value = head.text;
}

function fillLevels({ parts, head, tell }) {
  const shown = JSON.stringify([head.levels, head.number]);
  if (parts.levels.dataset.shown === shown) return;
  parts.levels.dataset.shown = shown;
  parts.levels.replaceChildren();
  if (head.levels.length < 2) return;
  for (const [number, title, solved] of head.levels) {
    const button = element("button", "", parts.levels, `${number}${solved ? "✓" : ""}`);
    button.type = "button";
    button.title = `${number} · ${title}${solved ? ", solved" : ""}`;
    button.setAttribute("aria-label", button.title);
    button.setAttribute("aria-current", String(number === head.number));
    button.addEventListener("click", () => tell({ do: "level", number }));
  }
}

// -------------------------------------------------------------------------------------------------------- the view

class View {
  constructor(model, el) {
    this.model = model;
    this.parts = nodes(el);
    this.ctx = this.parts.canvas.getContext("2d");
    this.revision = 0;
    this.widths = new Map();
    this.cursor = this.hovered = this.drag = this.told = null;
    this.keys = false;
    this.tell = (message) => this.model.send(message);
    this.receive();
    this.listen();
  }

  receive() {
    const before = this.head;
    this.head = this.model.get("head");
    this.colours = this.model.get("colours");
    this.data = unpack(this.head, this.model.get("numbers"));
    this.letters = Object.fromEntries(this.colours.bars.map((paint) => [paint.letter, paint]));
    if (before && before.number !== this.head.number) this.cursor = null;
    this.told = this.hovered = null;
    this.asked = "";
    this.keepCursor();
    this.say(this.head.said || "", this.head.tone || "");
    this.later();
  }

  /** Once in the next frame, however often it is asked for. */
  later() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.paint(); });
  }

  paint() {
    const { canvas, root } = this.parts, width = Math.max(320, Math.floor(root.clientWidth)), ratio = window.devicePixelRatio || 1;
    if (!this.head.ranks || !root.clientWidth) return;
    this.theme = themeOf(root);
    this.place = layout(this.head, width);
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(this.place.height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(this.place.height * ratio);
      canvas.style.height = `${this.place.height}px`;
    }
    this.ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    const { left, right } = this.place, slope = (right - left) / this.head.end;
    this.x = (time) => left + time * slope;
    draw(this);
    fillParts(this);
    canvas.dataset.rev = String(++this.revision);
    canvas.minipar = { head: this.head, place: this.place, cursor: this.cursor, x: this.x, bars: this.data.bar.length, names: () => this.names() };
  }

  say(words, tone = "") {
    if (this.parts.said.textContent !== words) this.parts.said.textContent = words;
    this.parts.said.dataset.tone = tone;
  }

  // -- names and places ----------------------------------------------------------------------------------------------

  paintOf(op) { return this.letters[op]; }

  nameOf(i) {
    const { bar } = this.data;
    return `${bar.stage(i)}${this.colours.bars[bar.kind(i)].letter}${bar.microbatch(i)}`;
  }

  barNamed(name) {
    if (!name) return -1;
    for (let i = 0; i < this.data.bar.length; i++) if (this.nameOf(i) === name) return i;
    return -1;
  }

  /** A bar as a place for the cursor, or null. */
  spot(bar) { return bar < 0 ? null : { zone: "grid", rank: this.data.bar.rank(bar), bar, name: this.nameOf(bar) }; }

  /** Width of a bold text, measured once. */
  width(words, size) {
    const key = `${size} ${words}`;
    if (!this.widths.has(key)) {
      this.ctx.font = `600 ${size}px ${this.theme.family}`;
      this.widths.set(key, this.ctx.measureText(words).width);
    }
    return this.widths.get(key);
  }

  names() { return this.data.rows.map((row) => row.map((i) => this.nameOf(i))); }

  /** How long a piece would take: as long as a placed one of its stage and kind, else as its kind, else one. */
  lengthOf(piece) {
    const { bar } = this.data;
    for (let i = bar.length - 1; i >= 0; i--) if (this.colours.bars[bar.kind(i)].letter === piece.op) return bar.end(i) - bar.start(i);
    return (this.head.lengths || {})[piece.op] || 1;
  }

  boxAt(at) {
    if (at.zone === "tray") return (this.place.chips[at.rank] || [])[at.index];
    return at.bar < this.data.bar.length ? boxOf(this, at.bar) : null;
  }

  /** The bar that buttons and keys act on, or -1. */
  picked() {
    return this.cursor && this.cursor.zone === "grid" ? this.cursor.bar : -1;
  }

  hit(px, py) {
    const { place, head } = this;
    if (!place) return null;
    const inside = (box) => px >= box.x && px <= box.x + box.w && py >= box.y && py <= box.y + box.h;
    for (let rank = 0; rank < place.chips.length; rank++) {
      const index = place.chips[rank].findIndex(inside);
      if (index >= 0) return { zone: "tray", rank, index, name: head.pieces[rank][index].name };
    }
    const rank = place.rows.findIndex((row) => py >= row.y && py <= row.y + row.h);
    if (rank < 0 || px < place.left || px > place.right) return null;
    const time = ((px - place.left) / (place.right - place.left)) * head.end, { bar } = this.data;
    const under = (i) => { const box = boxOf(this, i); return py >= box.y && py <= box.y + box.h; };
    const found = this.data.rows[rank].find((i) => bar.start(i) <= time && time < bar.end(i) && under(i));
    return found === undefined ? { zone: "gap", rank, time } : { zone: "grid", rank, bar: found };
  }

  /** The place in a row that something would drop into: {rank, at, x}. */
  dropAt(px, py) {
    const rank = this.place.rows.findIndex((row) => py >= row.y - 6 && py <= row.y + row.h + 20);
    if (rank < 0) return null;
    const row = this.data.rows[rank].filter((i) => !this.drag || i !== this.drag.bar);
    const at = row.filter((i) => { const box = boxOf(this, i); return box.x + box.w / 2 < px; }).length;
    const x = at ? boxOf(this, row[at - 1]).x + boxOf(this, row[at - 1]).w : row.length ? boxOf(this, row[0]).x : this.place.left;
    return { rank, at, x };
  }

  // -- pointing --------------------------------------------------------------------------------------------------------

  move(event) {
    const [px, py] = [event.offsetX, event.offsetY];
    if (this.drag) {
      if (Math.hypot(px - this.drag.from[0], py - this.drag.from[1]) > 5) this.drag.moved = true;
      [this.drag.px, this.drag.py] = [px, py];
      if (this.drag.moved) this.later();
      return;
    }
    if (this.pointer && this.pointer[0] === event.clientX && this.pointer[1] === event.clientY) return;  // the page moved, not the hand
    this.pointer = [event.clientX, event.clientY];
    const at = this.hit(px, py);
    this.keys = false;
    this.parts.canvas.style.cursor = at && at.zone !== "gap" && this.head.play ? "grab" : "default";
    if (sameSpot(at, this.hovered)) return;
    this.hovered = at;
    this.read(at);
    this.later();
  }

  down(event) {
    if (!this.head.play || event.button) return;
    const at = this.hit(event.offsetX, event.offsetY);
    if (!at || at.zone === "gap") return;
    const { bar } = this.data, piece = at.zone === "tray" ? this.head.pieces[at.rank][at.index] : null;
    const what = piece ? { name: piece.name, op: piece.op, stage: piece.stage, microbatch: piece.microbatch }
      : { name: this.nameOf(at.bar), bar: at.bar, op: this.colours.bars[bar.kind(at.bar)].letter, stage: bar.stage(at.bar), microbatch: bar.microbatch(at.bar) };
    this.drag = { ...what, from: [event.offsetX, event.offsetY], px: event.offsetX, py: event.offsetY, moved: false };
    this.parts.canvas.setPointerCapture(event.pointerId);
  }

  up() {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    this.keys = false;
    if (drag.moved) this.drop(drag);
    else if (drag.bar === undefined) {
      this.cursor = null;
      this.tell({ do: "place", name: drag.name });
    } else this.cursor = this.picked() === drag.bar ? null : this.spot(drag.bar);
    this.later();
  }

  drop(drag) {
    this.drag = drag;
    const to = this.dropAt(drag.px, drag.py);
    this.drag = null;
    if (drag.bar === undefined) { if (to) this.tell({ do: "place", name: drag.name, rank: to.rank, at: to.at }); }
    else if (to) this.tell({ do: "move", name: drag.name, rank: to.rank, at: to.at });
    else this.tell({ do: "remove", name: drag.name });
  }

  /** What is under the pointer or the cursor, in words; what Python has to say about a bar or a gap comes later. */
  read(at) {
    this.told = null;
    this.asked = "";
    if (!at) return this.say(this.head.said || "", this.head.tone || "");
    if (at.zone === "tray") {
      const piece = this.head.pieces[at.rank][at.index];
      if (piece) this.say(piece.why || `${piece.name} may go next on rank ${at.rank}: it would start at ${short(piece.start)}.`);
      return undefined;
    }
    const key = at.zone === "gap" ? `${at.rank}@${at.time.toFixed(2)}` : `bar ${at.bar}`;
    this.asked = key;
    clearTimeout(this.asking);
    const question = at.zone === "gap" ? { do: "why", rank: at.rank, time: at.time, key } : { do: "about", bar: at.bar, key };
    if (this.keys) this.tell(question);
    else this.asking = setTimeout(() => this.tell(question), 60);
    return undefined;
  }

  answer(content) {
    if (content.key !== this.asked) return;
    this.told = content;
    this.say(content.words);
    this.later();
  }

  // -- keys --------------------------------------------------------------------------------------------------------------

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { play } = this.head, by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    let act = {
      ArrowRight: () => this.along(1), ArrowLeft: () => this.along(-1), ArrowDown: () => this.across(1), ArrowUp: () => this.across(-1),
      Home: () => this.along(-Infinity), End: () => this.along(Infinity), Escape: () => { this.cursor = null; this.read(null); },
    }[event.key];
    if (play) act = this.playKey(event, by) || act;
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    this.keys = true;
    this.hovered = null;
    act();
    this.later();
  }

  playKey(event, by) {
    const name = this.picked() >= 0 ? this.nameOf(this.picked()) : "";
    if (event.shiftKey && by) return () => { if (name) this.shift(name, by); };
    const press = (button) => () => this.press(button);
    return {
      Enter: () => this.enter(), " ": () => this.enter(), Delete: press("remove"), Backspace: press("remove"), u: press("undo"), h: press("hint"),
      a: press("fill"), n: press("next"), r: press("run"), l: () => this.nextLit(1),
    }[event.key];
  }

  press(name) {
    const { head } = this, picked = this.picked() >= 0 ? this.nameOf(this.picked()) : "", can = head.can || {};
    if (name === "remove") { if (picked) this.tell({ do: "remove", name: picked }); }
    else if (name === "earlier" || name === "later") { if (picked) this.shift(picked, name === "later" ? 1 : -1); }
    else if (name === "next") { if (can.next) this.tell({ do: "level", number: head.number + 1 }); }
    else if (can[name] !== false) this.tell({ do: name });
  }

  shift(name, by) {
    this.follow = name;
    this.tell({ do: "shift", name, by });
  }

  enter() {
    const at = this.cursor;
    if (!at) return this.nextLit(1);
    if (at.zone === "tray") return this.tell({ do: "place", name: at.name });
    return this.read(at);
  }

  /** All that keys walk along: the rows of bars, then the rows of pieces. */
  lines() {
    const grid = this.data.rows.map((row, rank) => row.map((bar) => ({ zone: "grid", rank, bar })));
    const trays = (this.head.pieces || []).map((row, rank) => row.map((piece, index) => ({ zone: "tray", rank, index, name: piece.name })));
    return [...grid, ...trays].filter((row) => row.length);
  }

  along(by) {
    const lines = this.lines(), line = this.lineOf(lines);
    if (line < 0) return this.head.play ? this.nextLit(1) : this.stand(lines.length ? lines[0][0] : null);
    const row = lines[line], at = row.findIndex((one) => sameSpot(one, this.cursor));
    return this.stand(row[Math.min(Math.max(at + by, 0), row.length - 1)]);
  }

  across(by) {
    const lines = this.lines(), line = this.lineOf(lines);
    if (line < 0) return this.along(0);
    const next = lines[Math.min(Math.max(line + by, 0), lines.length - 1)], box = this.boxAt(this.cursor), middle = box.x + box.w / 2;
    const away = (one) => { const other = this.boxAt(one); return Math.abs(other.x + other.w / 2 - middle); };
    return this.stand(next.reduce((best, one) => (away(one) < away(best) ? one : best)));
  }

  lineOf(lines) { return this.cursor ? lines.findIndex((row) => row.some((one) => sameSpot(one, this.cursor))) : -1; }

  stand(at) {
    this.cursor = at && at.zone === "grid" ? this.spot(at.bar) : at;
    this.read(at);
  }

  /** The next piece that may be placed, from the cursor on and round. */
  nextLit() {
    const lit = (this.head.pieces || []).flatMap((row, rank) => row.map((piece, index) => ({ zone: "tray", rank, index, name: piece.name, why: piece.why }))).filter((one) => !one.why);
    if (!lit.length) { if (!this.cursor) this.stand((this.lines()[0] || [null])[0]); return; }
    const at = lit.findIndex((one) => sameSpot(one, this.cursor));
    this.stand(lit[(at + 1) % lit.length]);
  }

  /** After a change the cursor stays by its piece or bar; where that is gone, it goes to what may be placed next. */
  keepCursor() {
    const at = this.cursor;
    if (this.follow) {
      const bar = this.barNamed(this.follow);
      this.follow = "";
      if (bar >= 0) {
        this.cursor = this.spot(bar);
        return;
      }
    }
    if (!at || !this.head.play) return;
    const pieces = this.head.pieces[at.rank] || [];
    if (at.zone === "tray") {
      let index = pieces.findIndex((one) => one.name === at.name);
      if (index < 0) index = pieces.findIndex((one) => !one.why);
      if (index >= 0) { this.cursor = { zone: "tray", rank: at.rank, index, name: pieces[index].name }; return; }
      this.cursor = null;
      for (let rank = 0; rank < this.head.pieces.length && !this.cursor; rank++) {
        const lit = this.head.pieces[rank].findIndex((one) => !one.why);
        if (lit >= 0) this.cursor = { zone: "tray", rank, index: lit, name: this.head.pieces[rank][lit].name };
      }
    } else this.cursor = this.spot(this.barNamed(at.name));
  }

  // -- listening -----------------------------------------------------------------------------------------------------------

  listen() {
    const { canvas, area, buttons, root } = this.parts;
    this.ends = [];
    const on = (target, name, does) => {
      target.addEventListener(name, does);
      this.ends.push(() => target.removeEventListener(name, does));
    };
    on(canvas, "pointermove", (event) => this.move(event));
    on(canvas, "pointerdown", (event) => this.down(event));
    on(canvas, "pointerup", (event) => this.up(event));
    on(canvas, "pointerleave", () => { if (!this.drag && this.hovered) { this.hovered = null; this.read(null); this.later(); } });
    on(canvas, "keydown", (event) => this.key(event));
    on(canvas, "focus", () => { if (canvas.matches(":focus-visible")) { this.keys = true; if (!this.cursor) this.along(0); this.later(); } });
    on(canvas, "blur", () => { this.keys = false; this.later(); });
    on(area, "input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => this.tell({ do: "text", text: area.value }), 250); });
    on(area, "blur", () => this.later());
    on(area, "keydown", (event) => event.stopPropagation());
    for (const [name, button] of Object.entries(buttons)) on(button, "click", () => this.press(name));
    const size = new ResizeObserver(() => this.later()), theme = new MutationObserver(() => this.later());
    size.observe(root);
    theme.observe(document.body, { attributes: true });
    theme.observe(document.documentElement, { attributes: true });
    const changed = () => { if (!this.stale) { this.stale = true; queueMicrotask(() => { this.stale = false; this.receive(); }); } };
    const told = (content) => this.answer(content);
    this.model.on("change:head", changed);
    this.model.on("change:numbers", changed);
    this.model.on("msg:custom", told);
    this.ends.push(() => {
      size.disconnect();
      theme.disconnect();
      this.model.off("change:head", changed);
      this.model.off("change:numbers", changed);
      this.model.off("msg:custom", told);
    });
  }

  end() {
    cancelAnimationFrame(this.waiting);
    clearTimeout(this.asking);
    clearTimeout(this.typing);
    for (const does of this.ends) does();
    this.parts.root.remove();
  }
}

function sameSpot(one, other) {
  if (!one || !other) return one === other;
  if (one.zone !== other.zone) return false;
  if (one.zone === "tray") return one.rank === other.rank && one.name === other.name;
  if (one.zone === "grid") return one.bar === other.bar;
  return one.rank === other.rank && Math.abs(one.time - other.time) < 0.25;
}

export default {
  render({ model, el }) {
    const view = new View(model, el);
    return () => view.end();
  },
};
