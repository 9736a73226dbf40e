// Bands of tokens from their ranks to the experts and home. Point at a token, or Tab here and use the arrow keys, to
// light its way; Enter or a click keeps it, Escape lets it go. Python has placed everything.

function sheet(model, svg) {
  const hatch = hatched(node("defs", {}, svg), THEME.quiet);
  const all = node("g", { class: "minipar-flow-all" }, svg);
  for (const shape of model.get("shapes")) {
    const style = `fill: ${colour(shape.fill)}; stroke: ${colour(shape.edge)}`;
    const parent = shape.fill.startsWith("rgba") ? all : svg;
    const one = node("polygon", { points: shape.points, style, class: parent === all ? "minipar-flow-band" : "" }, parent);
    if (shape.hatch) node("polygon", { points: shape.points, fill: hatch, opacity: 0.55 }, svg);
    if (shape.tip) node("title", {}, one, shape.tip);
  }
  write(svg, model.get("words"));
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
    const box = element("div", "minipar-sheet", undefined, el);
    const told = element("div", "minipar-flow-told", undefined, el);
    told.setAttribute("role", "status");
    told.setAttribute("aria-live", "polite");
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
      svg = sheetOf(model, box, 1.1, { tabindex: 0, class: "minipar-drawing minipar-flow" });
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
