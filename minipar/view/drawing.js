// Tiles, arrows and words on one sheet, in SVG. The sheet keeps its proportions; colours "ink", "quiet" and "paper" are
// the theme's, so dark is dark.

const SVG = "http://www.w3.org/2000/svg";
const THEME = {
  ink: "var(--jp-content-font-color1, #1f1f1f)",
  quiet: "var(--jp-content-font-color2, #5a5a5a)",
  paper: "var(--jp-layout-color0, #fff)",
};
let made = 0;

function node(tag, attributes, parent, text) {
  const one = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, String(value));
  if (text !== undefined) one.textContent = text;
  if (parent) parent.appendChild(one);
  return one;
}

const colour = (name) => THEME[name] || name || "none";

function hatches(svg, shapes) {
  const names = new Map(), all = node("defs", {}, svg);
  for (const { hatch } of shapes) {
    if (!hatch || names.has(hatch)) continue;
    const id = `minipar-hatch-${made++}`;
    const one = node("pattern", { id, width: 9, height: 9, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, all);
    node("line", { x1: 0, x2: 0, y1: 0, y2: 9, "stroke-width": 3, style: `stroke: ${colour(hatch)}` }, one);
    names.set(hatch, `url(#${id})`);
  }
  return names;
}

function draw(model, box) {
  const [width, height] = model.get("sheet");
  box.replaceChildren();
  const title = document.createElement("div");
  title.className = "minipar-drawing-title";
  title.textContent = model.get("title");
  if (title.textContent) box.appendChild(title);
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "minipar-drawing" }, box);
  svg.style.maxWidth = `${Math.round(width * 1.25)}px`;
  svg.style.minWidth = `${Math.round(width * 0.85)}px`;
  svg.setAttribute("aria-label", model.get("summary"));
  const pattern = hatches(svg, model.get("shapes"));
  for (const shape of model.get("shapes")) {
    const one = node("polygon", { points: shape.points, style: `fill: ${colour(shape.fill)}; stroke: ${colour(shape.edge)}` }, svg);
    if (shape.hatch) node("polygon", { points: shape.points, fill: pattern.get(shape.hatch), opacity: 0.55 }, svg);
    if (shape.tip) node("title", {}, one, shape.tip);
  }
  for (const text of model.get("words")) {
    const onTile = text.ink.startsWith("#");
    const parent = onTile ? node("g", { class: "bars" }, svg) : svg;
    const style = `fill: ${colour(text.ink)};` + (text.plate ? ` stroke: ${THEME.paper}; stroke-width: 5px; paint-order: stroke; stroke-linejoin: round;` : "");
    node("text", { x: text.x, y: text.y, "text-anchor": text.anchor, "dominant-baseline": "central", "font-size": text.size,
      "font-weight": text.bold ? 700 : 400, style }, parent, text.words);
  }
  box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
}

export default {
  render({ model, el }) {
    const box = document.createElement("div");
    box.className = "minipar-sheet";
    el.appendChild(box);
    const again = () => draw(model, box);
    for (const trait of ["sheet", "shapes", "words"]) model.on("change:" + trait, again);
    again();
    return () => {
      for (const trait of ["sheet", "shapes", "words"]) model.off("change:" + trait, again);
    };
  },
};
