// What the pictures' scripts share. Put before each of them by `elements.script`.

const SVG = "http://www.w3.org/2000/svg";

// An HTML element with its class and text, hung under its parent.
function element(tag, className, text, parent) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  if (parent) parent.appendChild(node);
  return node;
}

// An SVG element with its attributes and text, hung under its parent.
function node(tag, attributes, parent, text) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  if (text !== undefined) made.textContent = text;
  parent.appendChild(made);
  return made;
}

// A widget that draws itself into a box: again when one of its traits changes, or when the box has another width.
function fitted(draw, changes) {
  return ({ model, el }) => {
    const box = element("div", "", undefined, el);
    const again = () => draw(model, box);
    model.on(changes, again);
    let width = 0;
    const watch = new ResizeObserver(() => {
      if (box.clientWidth !== width) {
        width = box.clientWidth;
        again();
      }
    });
    watch.observe(box);
    again();
    return () => {
      watch.disconnect();
      model.off(changes, again);
    };
  };
}

// ---- drawings: shapes and words that Python has placed; "ink", "quiet" and "paper" are the theme's, so dark is dark

const THEME = {
  ink: "var(--jp-content-font-color1, #1f1f1f)",
  quiet: "var(--jp-content-font-color2, #5a5a5a)",
  paper: "var(--jp-layout-color0, #fff)",
};
const colour = (name) => THEME[name] || name || "none";

// An id that no other picture has: each widget has a script of its own and ids are the whole page's, so a count would
// give two pictures the same one.
const own = (name) => `minipar-${name}-${Math.random().toString(36).slice(2)}`;

// Slanted lines of one colour to fill shapes with; answers the pattern's address.
function hatched(defs, stroke) {
  const id = own("hatch");
  const look = { id, width: 9, height: 9, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" };
  node("line", { x1: 0, x2: 0, y1: 0, y2: 9, "stroke-width": 3, style: `stroke: ${stroke}` }, node("pattern", look, defs));
  return `url(#${id})`;
}

// The title over a sheet, and the empty sheet.
function sheetOf(model, box, most, attributes) {
  const [width, height] = model.get("sheet");
  box.replaceChildren();
  const title = model.get("title");
  if (title) element("div", "minipar-drawing-title", title, box);
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", ...attributes }, box);
  svg.style.maxWidth = `${Math.round(width * most)}px`;
  svg.style.minWidth = `${Math.round(width * 0.85)}px`;
  svg.setAttribute("aria-label", model.get("summary"));
  return svg;
}

// Words on a sheet; those on a coloured tile ("#…" ink) keep their ink in any theme.
function write(svg, texts) {
  for (const text of texts) {
    const parent = text.ink.startsWith("#") ? node("g", { class: "bars" }, svg) : svg;
    const plate = text.plate ? ` stroke: ${THEME.paper}; stroke-width: 5px; paint-order: stroke; stroke-linejoin: round;` : "";
    node("text", { x: text.x, y: text.y, "text-anchor": text.anchor, "dominant-baseline": "central", "font-size": text.size,
      "font-weight": text.bold ? 700 : 400, style: `fill: ${colour(text.ink)};${plate}` }, parent, text.words);
  }
}
