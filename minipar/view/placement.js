// Stacks of experts on ranks: drag a tile to another rank, or Tab to it and use the arrow keys; c (or dragging with
// Shift) copies it, Delete takes a copy away. The browser changes `slots`; Python says what that means.

const HIGH = 240, HEAD = 24;

const number = (value) => String(Math.round(value * 10) / 10);

export default {
  render({ model, el }) {
    const box = element("div", "minipar-board", undefined, el);
    box.setAttribute("role", "group");
    let columns = [], kept = null;

    const copies = (expert) => model.get("slots").flat().filter((one) => one === expert).length;
    const give = (slots, expert, rank) => {
      kept = [expert, rank];
      model.set("slots", slots);
      model.save_changes();
      draw();
    };
    const move = (expert, from, to, copying) => {
      if (to < 0 || to >= model.get("slots").length || to === from) return;
      const slots = model.get("slots").map((held) => [...held]);
      if (!copying) slots[from].splice(slots[from].indexOf(expert), 1);
      slots[to].push(expert);
      give(slots, expert, to);
    };
    const drop = (expert, from) => {
      if (copies(expert) < 2) return;
      const slots = model.get("slots").map((held) => [...held]);
      slots[from].splice(slots[from].indexOf(expert), 1);
      give(slots, expert, slots.findIndex((held) => held.includes(expert)));
    };
    const pressed = (expert, rank) => (event) => {
      const many = model.get("slots").length;
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step) move(expert, rank, rank + step, false);
      else if (event.key === "Home") move(expert, rank, 0, false);
      else if (event.key === "End") move(expert, rank, many - 1, false);
      else if (event.key === "c" && !event.ctrlKey && !event.metaKey) move(expert, rank, (rank + 1) % many, true);
      else if (event.key === "Delete" || event.key === "Backspace") drop(expert, rank);
      else return;
      event.preventDefault();
      event.stopPropagation();
    };
    const under = (event) => columns.findIndex((column) => {
      const { left, right, top, bottom } = column.getBoundingClientRect();
      return event.clientX >= left && event.clientX <= right && event.clientY >= top - 40 && event.clientY <= bottom + 40;
    });
    const grabbed = (piece, expert, rank) => (event) => {
      event.preventDefault();
      piece.focus();
      piece.setPointerCapture(event.pointerId);
      piece.classList.add("minipar-dragged");
      const [x, y] = [event.clientX, event.clientY];
      const drag = (moved) => {
        piece.style.transform = `translate(${moved.clientX - x}px, ${moved.clientY - y}px)`;
        const to = under(moved);
        columns.forEach((column, at) => column.classList.toggle("minipar-target", at === to && to !== rank));
      };
      const end = (moved) => {
        piece.removeEventListener("pointermove", drag);
        piece.removeEventListener("pointerup", end);
        piece.removeEventListener("pointercancel", end);
        piece.classList.remove("minipar-dragged");
        piece.style.transform = "";
        columns.forEach((column) => column.classList.remove("minipar-target"));
        const to = moved.type === "pointerup" ? under(moved) : -1;
        if (to >= 0) move(expert, rank, to, moved.shiftKey);
      };
      piece.addEventListener("pointermove", drag);
      piece.addEventListener("pointerup", end);
      piece.addEventListener("pointercancel", end);
    };

    const stack = (parent, held, rank, most) => {
      const column = element("div", "minipar-column", undefined, parent);
      const tiles = element("div", "minipar-stack", undefined, column);
      const loads = model.get("loads"), sum = held.reduce((all, expert) => all + loads[expert], 0);
      for (const expert of held) {
        const [fill, ink] = model.get("paints")[expert];
        const piece = element("div", "minipar-piece", undefined, tiles);
        piece.style.cssText = `height: ${(HIGH * loads[expert]) / model.get("top")}px; background: ${fill}; color: ${ink}`;
        element("span", "", `expert ${expert}`, piece);
        element("b", "", number(loads[expert]), piece);
        piece.tabIndex = 0;
        piece.setAttribute("role", "button");
        piece.setAttribute("aria-label", `expert ${expert} on rank ${rank}, ${number(loads[expert])} rows; arrow keys move it`);
        piece.title = `expert ${expert}: ${number(loads[expert])} rows; drag it, or use the arrow keys. c copies it, Delete takes a copy away.`;
        piece.addEventListener("keydown", pressed(expert, rank));
        piece.addEventListener("pointerdown", grabbed(piece, expert, rank));
        piece.dataset.place = `${expert} ${rank}`;
      }
      const foot = element("div", "minipar-foot", `rank ${rank}`, column);
      element("b", "", `${number(sum)} rows${sum === most ? " ◄" : ""}`, foot);
      const over = held.length > model.get("room");
      element("div", over ? "minipar-full" : "", `${held.length} of ${model.get("room")} places`, foot);
      return column;
    };
    const draw = () => {
      const slots = model.get("slots"), nodes = model.get("nodes"), loads = model.get("loads");
      const held = document.activeElement?.dataset?.place;
      box.replaceChildren();
      box.setAttribute("aria-label", model.get("summary"));
      const field = element("div", "minipar-field", undefined, box);
      const per = slots.length / nodes;
      const most = Math.max(...slots.map((one) => one.reduce((all, expert) => all + loads[expert], 0)));
      columns = [];
      for (let node = 0; node < nodes; node += 1) {
        const frame = element("div", "minipar-node", undefined, field);
        element("div", "minipar-node-name", nodes > 1 ? `node ${node}` : "one node", frame);
        for (let rank = node * per; rank < (node + 1) * per; rank += 1) columns.push(stack(frame, slots[rank], rank, most));
      }
      for (const [value, words] of model.get("lines")) {
        const mark = element("div", "minipar-mark", undefined, field);
        mark.style.top = `${HEAD + 2 + HIGH * (1 - value / model.get("top"))}px`;
        element("span", "", words, mark);
      }
      const table = element("table", "", undefined, box);
      const head = element("tr", "", undefined, element("thead", "", undefined, table));
      for (const name of ["way", "busiest rank", "between nodes", "predicted step"]) element("th", "", name, head);
      const body = element("tbody", "", undefined, table);
      for (const [name, busiest, between, step, now] of model.get("table")) {
        const row = element("tr", now ? "minipar-now" : "", undefined, body);
        for (const words of [name, `${busiest} rows`, `${between} rows`, step]) element("td", "", words, row);
      }
      const place = kept ? kept.join(" ") : held;
      if (place && (kept || held)) [...box.querySelectorAll(".minipar-piece")].find((one) => one.dataset.place === place)?.focus();
      box.dataset.rev = String(1 + Number(box.dataset.rev || 0));
    };
    let asked = false;
    const again = () => {
      if (asked) return;
      asked = true;  // several traits change together: one drawing
      requestAnimationFrame(() => {
        asked = false;
        draw();
        kept = null;
      });
    };
    const changes = "change:slots change:loads change:table change:lines change:top change:room";
    draw();
    model.on(changes, again);
    return () => model.off(changes, again);
  },
};
