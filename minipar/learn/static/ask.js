// The locked prediction: one fieldset a question, one button. Answers are words, so plain radio buttons carry them.
const OURS = "data-lm-suppress-shortcuts";  // arrows and Enter are for what has the focus, not for Lab
let made = 0;

// Text with `code` in it: what stands between backticks is set as code.
function written(node, text) {
  text.split("`").forEach((piece, number) => {
    if (number % 2 === 0) { node.append(piece); return; }
    const code = document.createElement("code");
    code.textContent = piece;
    node.append(code);
  });
  return node;
}

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in node && name !== "list") node[name] = value; else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function question(model, asked, number, name, changed) {
  const chosen = model.get("chosen");
  const box = element("fieldset", { disabled: model.get("locked") }, written(element("legend"), asked.text));
  asked.options.forEach((text, position) => {
    const input = element("input", { type: "radio", name: `${name}-${number}`, checked: chosen[number] === position });
    input.setAttribute(OURS, "true");
    const label = element("label", { className: chosen[number] === position ? "option chosen" : "option" },
      input, element("span", { className: "letter" }, `${"abcdefgh"[position]})`), written(element("span"), text));
    input.addEventListener("change", () => {
      const now = model.get("chosen").slice();
      now[number] = position;
      model.set("chosen", now);
      model.save_changes();
      changed();
    });
    box.append(label);
  });
  return box;
}

function render({ model, el }) {
  const name = `minipar-ask-${++made}`;
  const panel = element("div", { className: "minipar-panel", role: "group" });
  panel.setAttribute("aria-label", "Your prediction");
  const lock = element("button", { className: "main", type: "button" }, "Lock my answer");
  lock.setAttribute(OURS, "true");
  const note = element("span", { className: "quiet" });
  note.setAttribute("aria-live", "polite");
  note.tabIndex = -1;
  lock.addEventListener("click", () => model.send({ do: "lock" }));

  function mark() {
    const chosen = model.get("chosen"), locked = model.get("locked");
    panel.querySelectorAll("fieldset").forEach((box, number) => {
      box.disabled = locked;
      box.querySelectorAll("label.option").forEach((label, position) => {
        label.classList.toggle("chosen", chosen[number] === position);
        label.querySelector("input").checked = chosen[number] === position;
      });
    });
    panel.classList.toggle("locked", locked);
    if (locked && document.activeElement === lock) note.focus();  // the focus would fall out of the page
    lock.hidden = locked;
    lock.disabled = chosen.some((position) => position < 0);
    lock.setAttribute("aria-label", lock.disabled ? "Lock my answer: choose first" : "Lock my answer");
    note.textContent = model.get("note");
    panel.dataset.rev = String(Number(panel.dataset.rev || 0) + 1);
  }

  model.get("questions").forEach((asked, number) => panel.append(question(model, asked, number, name, mark)));
  panel.append(element("div", { className: "row" }, lock, note));
  for (const trait of ["chosen", "locked", "note"]) model.on(`change:${trait}`, mark);
  mark();
  el.append(panel);
  return () => { for (const trait of ["chosen", "locked", "note"]) model.off(`change:${trait}`, mark); };
}

export default { render };
