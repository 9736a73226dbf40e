// Bands of tokens from their ranks to the experts and home. Point at a token, or Tab here and use the arrow keys, to
// light its way; Enter or a click keeps it, Escape lets it go. Python has placed everything.

const SVG = "http://www.w3.org/2000/svg";
const THEME = {
  ink: "var(--jp-content-font-color1, #1f1f1f)",
  quiet: "var(--jp-content-font-color2, #5a5a5a)",
  paper: "var(--jp-layout-color0, #fff)",
};
const colour = (name) => THEME[name] || name || "none";
let made = 0;

function node(tag, attributes, parent, text) {
  const one = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, String(value));
  if (text !== undefined) one.textContent = text;
  parent.appendChild(one);
  return one;
}

function sheet(model, svg) {
  const id = `minipar-flow-hatch-${made++}`;
  const hatch = node("pattern", { id, width: 9, height: 9, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, node("defs", {}, svg));
  node("line", { x1: 0, x2: 0, y1: 0, y2: 9, "stroke-width": 3, style: `stroke: ${THEME.quiet}` }, hatch);
  const all = node("g", { class: "minipar-flow-all" }, svg);
  for (const shape of model.get("shapes")) {
    const style = `fill: ${colour(shape.fill)}; stroke: ${colour(shape.edge)}`;
    const parent = shape.fill.startsWith("rgba") ? all : svg;
    const one = node("polygon", { points: shape.points, style, class: parent === all ? "minipar-flow-band" : "" }, parent);
    if (shape.hatch) node("polygon", { points: shape.points, fill: `url(#${id})`, opacity: 0.55 }, svg);
    if (shape.tip) node("title", {}, one, shape.tip);
  }
  for (const text of model.get("words")) {
    const plate = text.plate ? ` stroke: ${THEME.paper}; stroke-width: 5px; paint-order: stroke; stroke-linejoin: round;` : "";
    const parent = text.ink.startsWith("#") ? node("g", { class: "bars" }, svg) : svg;
    node("text", { x: text.x, y: text.y, "text-anchor": text.anchor, "dominant-baseline": "central", "font-size": text.size,
      "font-weight": text.bold ? 700 : 400, style: `fill: ${colour(text.ink)};${plate}` }, parent, text.words);
  }
}

const curve = (x, y, to, down) => `M${x} ${y}C${(x + to) / 2} ${y} ${(x + to) / 2} ${down} ${to} ${down}`;

// The way of one token: a frame round both its cells, a line out and a line home for each of its experts.
function light(layer, token) {
  layer.replaceChildren();
  if (!token) return;
  const [x, y, edge] = token.cell, [there] = token.home, [left, right] = token.edges, middle = y + edge / 2;
  for (const at of [x, there]) node("rect", { x: at - 2, y: y - 2, width: edge + 4, height: edge + 4, class: "minipar-flow-lit" }, layer);
  for (const stop of token.stops) {
    node("path", { d: curve(x + edge + 2, middle, left, stop), class: "minipar-flow-lit" }, layer);
    node("path", { d: curve(right, stop, there - 2, middle), class: "minipar-flow-lit" }, layer);
  }
}

export default {
  render({ model, el }) {
    const box = document.createElement("div");
    box.className = "minipar-sheet";
    const told = document.createElement("div");
    told.className = "minipar-flow-told";
    told.setAttribute("role", "status");
    told.setAttribute("aria-live", "polite");
    el.append(box, told);
    let layer, svg;

    const show = (number) => {
      const token = model.get("tokens")[number];
      light(layer, token);
      svg.classList.toggle("minipar-flow-one", Boolean(token));
      told.textContent = token ? token.words : model.get("tokens").length ? "Point at a token, or Tab here and use the arrow keys, to light its way." : "Point at a band to read its tokens.";
      box.dataset.lit = String(token ? number : -1);
    };
    const keep = (number) => {
      model.set("lit", number);
      model.save_changes();
      show(number);
    };
    const pressed = (event) => {
      const many = model.get("tokens").length, now = model.get("lit");
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }[event.key];
      if (!many || (!step && event.key !== "Escape")) return;
      event.preventDefault();
      event.stopPropagation();
      keep(step ? (now < 0 ? 0 : Math.max(0, Math.min(many - 1, now + step))) : -1);
    };
    const draw = () => {
      const [width, height] = model.get("sheet");
      box.replaceChildren();
      const title = document.createElement("div");
      title.className = "minipar-drawing-title";
      title.textContent = model.get("title");
      if (title.textContent) box.appendChild(title);
      svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: 0, class: "minipar-drawing minipar-flow" }, box);
      svg.style.maxWidth = `${Math.round(width * 1.1)}px`;
      svg.style.minWidth = `${Math.round(width * 0.85)}px`;
      svg.setAttribute("aria-label", model.get("summary"));
      sheet(model, svg);
      layer = node("g", {}, svg);
      model.get("tokens").forEach((token, number) => {
        for (const [x, y, edge] of [token.cell, token.home]) {
          const cell = node("rect", { x: x - 1, y: y - 1, width: edge + 2, height: edge + 2, class: "minipar-flow-cell" }, svg);
          node("title", {}, cell, token.words);
          cell.addEventListener("pointerenter", () => show(number));
          cell.addEventListener("pointerleave", () => show(model.get("lit")));
          cell.addEventListener("click", () => keep(number === model.get("lit") ? -1 : number));
        }
      });
      svg.addEventListener("keydown", pressed);
      show(model.get("lit"));
      box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
    };
    const changes = "change:sheet change:shapes change:words change:tokens change:title";
    const lit = () => show(model.get("lit"));
    model.on(changes, draw);
    model.on("change:lit", lit);
    draw();
    return () => {
      model.off(changes, draw);
      model.off("change:lit", lit);
    };
  },
};
