// Rows of stacked parts against lines. Plain HTML: text stays text, the browser lays it out, the theme colours it.

function legend(model, box) {
  if (model.get("legend").length < 2) return;
  const list = element("div", "minipar-legend", undefined, box);
  for (const [name, fill] of model.get("legend")) {
    const entry = element("span", "minipar-key", undefined, list);
    element("span", "minipar-swatch", undefined, entry).style.background = fill;
    entry.appendChild(document.createTextNode(name));
  }
}

function bar(row, scale, grid, at) {
  const before = grid.childElementCount;
  element("div", "minipar-label", row.label, grid);
  const track = element("div", (row.label ? "minipar-track" : "minipar-gap") + (row.faded ? " minipar-faded" : ""), undefined, grid);
  for (const part of row.parts) {
    const piece = element("div", "minipar-part", undefined, track);
    piece.style.cssText = `width:${(100 * part.value) / scale}%;background:${part.fill};color:${part.ink}`;
    if (!row.hint) piece.title = `${part.name} ${part.text}`.trim();
    element("span", "", part.text, piece);
  }
  element("div", "minipar-note" + (row.over ? " minipar-over" : ""), row.note, grid);
  for (const cell of [...grid.children].slice(before)) {
    cell.style.gridRow = String(at + 2);
    if (row.hint) cell.title = row.hint;
  }
}

// A text that does not fit its part is taken out; the legend, the note and the tooltip still say it.
function fit(box) {
  for (const piece of box.querySelectorAll(".minipar-part")) {
    const span = piece.firstChild;
    span.style.visibility = span.offsetWidth + 4 > piece.clientWidth ? "hidden" : "visible";
  }
}

function summary(model) {
  const rows = model.get("rows").map((row) =>
    `${row.label}: ${row.parts.map((part) => `${part.name} ${part.text}`.trim()).filter(Boolean).join(", ")}; ${row.note}${row.hint && "; " + row.hint}`);
  return [model.get("name"), ...rows, ...model.get("lines").map((line) => line.text)].join(". ");
}

function draw(model, box) {
  box.replaceChildren();
  legend(model, box);
  const scale = model.get("scale");
  const grid = element("div", "minipar-bars", undefined, box);
  const lines = model.get("lines");
  if (lines.length) {
    const head = element("div", "minipar-heads", undefined, grid);
    for (const line of lines) {
      const at = Math.min(100, (100 * line.value) / scale);
      const label = element("span", "minipar-head", line.value > scale ? line.text + " →" : line.text, head);
      label.style.left = at + "%";
      label.style.transform = at > 70 ? "translateX(-100%)" : at < 12 ? "none" : "translateX(-50%)";
    }
  }
  model.get("rows").forEach((row, at) => bar(row, scale, grid, at));
  if (lines.length) {
    const over = element("div", "minipar-lines", undefined, grid);
    over.style.gridRow = `2 / span ${model.get("rows").length}`;
    for (const line of lines) {
      if (line.value <= scale) element("div", "minipar-line", undefined, over).style.left = (100 * line.value) / scale + "%";
    }
  }
  box.setAttribute("aria-label", summary(model));
  fit(box);
  box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
}

export default {
  render({ model, el }) {
    const box = element("div", "minipar-barbox", undefined, el);
    box.setAttribute("role", "img");
    const again = () => draw(model, box);
    model.on("change:rows", again);
    model.on("change:lines", again);
    const watch = new ResizeObserver(() => fit(box));
    watch.observe(box);
    again();
    return () => {
      watch.disconnect();
      model.off("change:rows", again);
      model.off("change:lines", again);
    };
  },
};
