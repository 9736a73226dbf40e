// Lines and measured points on two axes in powers of ten, in SVG, drawn for the width there is so that text keeps its
// size. A point is {x, y, top, text}: a dot at y, a whisker up to top.

function draw(model, box) {
  const width = Math.max(420, Math.min(1000, box.clientWidth || 640)), height = 360;
  const left = 70, right = 22, top = 30, bottom = 46;
  box.replaceChildren();
  const svg = node("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", class: "minipar-curve" }, box);
  const points = model.get("points"), lines = model.get("lines");
  svg.setAttribute("aria-label", model.get("name"));
  const place = (ticks, from, to) => {
    const low = Math.log10(ticks[0][0]), high = Math.log10(ticks[ticks.length - 1][0]);
    return (value) => from + ((Math.log10(value) - low) / (high - low)) * (to - from);
  };
  const x = place(model.get("across"), left, width - right);
  const y = place(model.get("up"), height - bottom, top);
  for (const [value, text] of model.get("across")) {
    node("line", { x1: x(value), x2: x(value), y1: top, y2: height - bottom, class: "minipar-curve-grid" }, svg);
    node("text", { x: x(value), y: height - bottom + 18, "text-anchor": "middle" }, svg, text);
  }
  for (const [value, text] of model.get("up")) {
    node("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "minipar-curve-grid" }, svg);
    node("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, svg, text);
  }
  node("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, svg, "size of the message");
  const id = own("curve-frame"), frame = node("clipPath", { id }, node("defs", {}, svg));
  node("rect", { x: left, y: top, width: width - left - right, height: height - top - bottom }, frame);
  const inside = node("g", { "clip-path": `url(#${id})` }, svg);
  let key = left;
  for (const line of lines) {
    const path = line.xy.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
    const look = { fill: "none", stroke: line.colour, "stroke-width": 3, "stroke-dasharray": line.dash };
    node("polyline", { points: path, ...look }, inside);
    node("line", { x1: key, x2: key + 30, y1: 12, y2: 12, ...look }, svg);
    const name = node("text", { x: key + 36, y: 16 }, svg, line.name);
    key += 60 + name.getComputedTextLength();
  }
  if (points.length) {
    node("circle", { cx: key + 8, cy: 12, r: 5, class: "minipar-curve-dot" }, svg);
    node("text", { x: key + 20, y: 16 }, svg, "measured here");
  }
  for (const point of points) {
    node("line", { x1: x(point.x), x2: x(point.x), y1: y(point.y), y2: y(point.top), class: "minipar-curve-spread" }, inside);
    const dot = node("circle", { cx: x(point.x), cy: y(point.y), r: 5, class: "minipar-curve-dot" }, inside);
    node("title", {}, dot, point.text);
  }
  const at = model.get("marker");
  node("line", { x1: x(at.x), x2: x(at.x), y1: top, y2: height - bottom, class: "minipar-curve-marker" }, inside);
  node("circle", { cx: x(at.x), cy: y(at.y), r: 8, class: "minipar-curve-here" }, inside);
  box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
}

export default { render: fitted(draw, "change:lines change:points change:marker") };
