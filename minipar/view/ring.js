// Ranks in a circle, each with its pieces as tiles; arrows carry the piece that travels in this step. SVG, drawn for
// the width there is, so that text keeps its size.

const TILE = 50, GAP = 4, NAME = 20, CALLOUT = 22;

// The point where the line from the middle of a box to another point leaves the box.
function edge(box, to) {
  const dx = to.x - box.x, dy = to.y - box.y;
  const share = Math.min(box.w / 2 / Math.max(Math.abs(dx), 1e-9), box.h / 2 / Math.max(Math.abs(dy), 1e-9));
  return { x: box.x + dx * share, y: box.y + dy * share };
}

// Words on a coloured tile: black in any theme.
function onFill(svg, x, y, look, text) {
  node("text", { x, y, class: look }, node("g", { class: "bars" }, svg), text);
}

function tile(svg, x, y, { text, share, fill, done, fresh }) {
  node("rect", { x, y, width: TILE, height: TILE, class: "minipar-ring-empty" }, svg);
  node("rect", { x, y: y + TILE * (1 - share), width: TILE, height: TILE * share, fill }, svg);
  const edges = ["minipar-ring-tile", done && "minipar-ring-done", fresh && "minipar-ring-fresh"].filter(Boolean);
  node("rect", { x, y, width: TILE, height: TILE, fill: "none", class: edges.join(" ") }, svg);
  onFill(svg, x + TILE / 2, y + TILE / 2 + 4, done ? "minipar-ring-sum" : "minipar-ring-in", text);
}

function rank(svg, box, place) {
  const left = place.x - place.w / 2, top = place.y - place.h / 2;
  node("text", { x: place.x, y: top + 14, class: "minipar-ring-name" }, svg, box.name);
  box.tiles.forEach((one, at) => tile(svg, left + at * (TILE + GAP), top + NAME, one));
  if (!box.callout) return;
  const x = left + box.at * (TILE + GAP) + TILE / 2, y = top + NAME + TILE;
  node("line", { x1: x, x2: x, y1: y + 1, y2: y + 8, class: "minipar-ring-pointer" }, svg);
  const anchor = box.at === 0 ? "start" : box.at === box.tiles.length - 1 ? "end" : "middle";
  node("text", { x, y: y + 21, "text-anchor": anchor, class: "minipar-ring-callout" }, svg, box.callout);
}

function draw(model, el) {
  const boxes = model.get("boxes"), many = boxes.length;
  const width = Math.min(900, Math.max(480, el.clientWidth || 640));
  const w = many * (TILE + GAP) - GAP, h = NAME + TILE + CALLOUT;
  const height = many === 4 ? 300 : 240 + 26 * many;
  el.replaceChildren();
  const svg = node("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", class: "minipar-ring" }, el);
  svg.setAttribute("aria-label", model.get("name"));
  const id = own("ring-head");
  const head = node("marker", { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 7, markerHeight: 7, orient: "auto" }, node("defs", {}, svg));
  node("path", { d: "M0 0L10 5L0 10z", class: "minipar-ring-head" }, head);
  const place = boxes.map(({ x, y }) => ({
    x: width / 2 + x * (width / 2 - w / 2 - 4), y: height / 2 + y * (height / 2 - h / 2 - 2), w, h,
  }));
  for (const arrow of model.get("arrows")) {
    const from = edge({ ...place[arrow.from], w: w + 10, h: h + 6 }, place[arrow.to]);
    const to = edge({ ...place[arrow.to], w: w + 10, h: h + 6 }, place[arrow.from]);
    const side = many === 2 ? (arrow.from ? 40 : -40) : 0;  // two ranks: there and back side by side
    node("line", { x1: from.x + side, y1: from.y, x2: to.x + side, y2: to.y, class: "minipar-ring-arrow", "marker-end": `url(#${id})` }, svg);
    const x = (from.x + to.x) / 2 + side, y = (from.y + to.y) / 2;
    node("rect", { x: x - 29, y: y - 12, width: 58, height: 24, rx: 3, fill: arrow.fill, class: "minipar-ring-tile" }, svg);
    onFill(svg, x, y + 4, "minipar-ring-in", arrow.text);
  }
  boxes.forEach((box, at) => rank(svg, box, place[at]));
  const [step, lap] = model.get("words");
  node("text", { x: width / 2, y: height / 2 - 4, class: "minipar-ring-step" }, svg, step || "");
  node("text", { x: width / 2, y: height / 2 + 16, class: "minipar-ring-lap" }, svg, lap || "");
  el.dataset.rev = String(1 + Number(el.dataset.rev || 0));
}

export default { render: fitted(draw, "change:boxes change:arrows change:words") };
