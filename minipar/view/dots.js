// Points on two axes in powers of ten, in SVG, drawn for the width there is so that text keeps its size.

function draw(model, box) {
  const width = Math.max(320, box.clientWidth || 640);
  const height = 260;
  const left = 78, right = 34, top = 10, bottom = 44;
  box.replaceChildren();
  const svg = node("svg", { width, height, role: "img", class: "minipar-dots" }, box);
  const points = model.get("points");
  svg.setAttribute("aria-label", [model.get("name"), ...points.map((point) => point.text)].join(". "));
  const place = (ticks, from, to) => {
    const low = Math.log10(ticks[0][0]), high = Math.log10(ticks[ticks.length - 1][0]);
    return (value) => from + ((Math.min(Math.max(Math.log10(value), low), high) - low) / (high - low)) * (to - from);
  };
  const x = place(model.get("across"), left, width - right);
  const y = place(model.get("up"), height - bottom, top);
  for (const [value, text] of model.get("across")) {
    node("line", { x1: x(value), x2: x(value), y1: top, y2: height - bottom, class: "minipar-grid" }, svg);
    node("text", { x: x(value), y: height - bottom + 18, "text-anchor": "middle" }, svg, text);
  }
  for (const [value, text] of model.get("up")) {
    node("line", { x1: left, x2: width - right, y1: y(value), y2: y(value), class: "minipar-grid" }, svg);
    node("text", { x: left - 8, y: y(value) + 4, "text-anchor": "end" }, svg, text);
  }
  node("text", { x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" }, svg, model.get("name"));
  points.forEach((point, at) => {
    const last = at === points.length - 1;
    const dot = node("circle", { cx: x(point.x), cy: y(point.y), r: last ? 8 : 5, fill: model.get("fill"), class: "minipar-dot" }, svg);
    node("title", {}, dot, point.text);
  });
  box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
}

export default { render: fitted(draw, "change:points") };
