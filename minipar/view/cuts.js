// A strip of layers with handles at the cuts: drag one, or Tab to it and use the arrow keys. It tells Python the first
// layer of every device; Python decides what that means.

export default {
  render({ model, el }) {
    const box = element("div", "minipar-cuts", undefined, el);
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", "layers and cuts");
    let tiles = [];
    let handles = [];

    const many = () => model.get("costs").length;
    const move = (at, layer) => {
      const starts = [...model.get("starts")];
      const low = at ? starts[at - 1] + 1 : 1;
      const high = (at + 1 < starts.length ? starts[at + 1] : many()) - 1;
      const next = Math.max(low, Math.min(high, layer));
      if (next === starts[at]) return;
      starts[at] = next;
      model.set("starts", starts);
      model.save_changes();
    };
    const pressed = (at) => (event) => {
      const step = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, Home: -many(), End: many() }[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      move(at, model.get("starts")[at] + step);
    };
    const grabbed = (at) => (event) => {
      event.preventDefault();
      handles[at].focus();
      handles[at].setPointerCapture(event.pointerId);
      const drag = (moved) => {
        const frame = box.getBoundingClientRect();
        move(at, Math.round(((moved.clientX - frame.left) / frame.width) * many()));
      };
      handles[at].addEventListener("pointermove", drag);
      handles[at].addEventListener("pointerup", () => handles[at]?.removeEventListener("pointermove", drag), { once: true });
    };

    const build = () => {
      box.replaceChildren();
      const costs = model.get("costs");
      const top = Math.max(...costs, 1e-12);
      tiles = costs.map((cost, layer) => {
        const tile = element("div", "minipar-tile", undefined, box);
        tile.style.height = `${Math.max(6, (100 * cost) / top)}%`;
        tile.title = `${model.get("names")[layer]}: cost ${Number(cost.toPrecision(3))}`;
        return tile;
      });
      handles = model.get("starts").map((_, at) => {
        const handle = element("div", "minipar-handle", undefined, box);
        handle.tabIndex = 0;
        handle.setAttribute("role", "slider");
        handle.setAttribute("aria-label", `first layer of device ${at + 1}`);
        handle.addEventListener("keydown", pressed(at));
        handle.addEventListener("pointerdown", grabbed(at));
        return handle;
      });
    };
    const place = () => {
      const starts = model.get("starts");
      if (starts.length !== handles.length) build();
      const fills = model.get("fills");
      tiles.forEach((tile, layer) => {
        tile.style.background = fills[starts.filter((start) => start <= layer).length % fills.length];
      });
      handles.forEach((handle, at) => {
        handle.style.left = `${(100 * starts[at]) / many()}%`;
        handle.setAttribute("aria-valuemin", String(at ? starts[at - 1] + 1 : 1));
        handle.setAttribute("aria-valuemax", String((at + 1 < starts.length ? starts[at + 1] : many()) - 1));
        handle.setAttribute("aria-valuenow", String(starts[at]));
      });
      box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
    };
    build();
    place();
    model.on("change:starts", place);
    return () => model.off("change:starts", place);
  },
};
