// Tiles, arrows and words on one sheet, in SVG. The sheet keeps its proportions; colours "ink", "quiet" and "paper" are
// the theme's, so dark is dark.

function hatches(svg, shapes) {
  const names = new Map(), all = node("defs", {}, svg);
  for (const { hatch } of shapes) {
    if (hatch && !names.has(hatch)) names.set(hatch, hatched(all, colour(hatch)));
  }
  return names;
}

function draw(model, box) {
  const svg = sheetOf(model, box, 1.25, { class: "minipar-drawing" });
  const pattern = hatches(svg, model.get("shapes"));
  for (const shape of model.get("shapes")) {
    const one = node("polygon", { points: shape.points, style: `fill: ${colour(shape.fill)}; stroke: ${colour(shape.edge)}` }, svg);
    if (shape.hatch) node("polygon", { points: shape.points, fill: pattern.get(shape.hatch), opacity: 0.55 }, svg);
    if (shape.tip) node("title", {}, one, shape.tip);
  }
  write(svg, model.get("words"));
  box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
}

export default {
  render({ model, el }) {
    const box = element("div", "minipar-sheet", undefined, el);
    const again = () => draw(model, box);
    for (const trait of ["sheet", "shapes", "words"]) model.on("change:" + trait, again);
    again();
    return () => {
      for (const trait of ["sheet", "shapes", "words"]) model.off("change:" + trait, again);
    };
  },
};
