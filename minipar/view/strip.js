// The device strip: one box a device, the bytes it holds as a number and as a level. Plain HTML, no motion.

function house(device, fill, row) {
  const box = element("div", "minipar-house", undefined, row);
  element("div", "minipar-name", device.name, box);
  const level = element("div", "minipar-level", undefined, box);
  const held = element("div", "minipar-filled", undefined, level);
  held.style.width = `${100 * device.share}%`;
  held.style.background = fill;
  element("div", "minipar-held", device.held, box);
  if (device.note) element("div", "minipar-remark", device.note, box);
  if (device.pid) element("div", "minipar-pid", device.pid, box);
}

function draw(model, el) {
  el.replaceChildren();
  const all = element("div", "minipar-strip", undefined, el);
  all.setAttribute("role", "img");
  all.setAttribute("aria-label", model.get("summary"));
  for (const row of model.get("rows")) {
    if (row.title) element("div", "minipar-moment", row.title, all);
    const line = element("div", "minipar-street", undefined, all);
    for (const device of row.devices) house(device, model.get("fill"), line);
  }
  const links = [...new Set(model.get("rows").map((row) => row.link).filter(Boolean))];
  if (links.length) element("div", "minipar-link", "link: " + links.join("; "), all);
}

export default {
  render({ model, el }) {
    const again = () => draw(model, el);
    model.on("change:rows", again);
    again();
    return () => model.off("change:rows", again);
  },
};
