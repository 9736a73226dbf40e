// The verdict on an exercise, and behind buttons the hints and the solution, which arrive only when asked for.
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

function line(text, className) {
  const p = document.createElement("p");
  written(p, text);
  if (className) p.className = className;
  return p;
}

function render({ model, el }) {
  const panel = document.createElement("div");
  panel.className = "minipar-panel";
  panel.setAttribute("role", "group");
  panel.setAttribute("aria-label", "The verdict");
  const verdict = document.createElement("div"), row = document.createElement("div"), help = document.createElement("div");
  verdict.setAttribute("role", "status");
  verdict.className = "verdict";
  row.className = "row";
  help.setAttribute("aria-live", "polite");
  panel.append(verdict, row, help);

  function draw() {
    const lines = model.get("verdict"), opened = model.get("opened"), buttons = model.get("buttons");
    verdict.replaceChildren(...lines.map((text, number) => line(text, number === 0 ? "headline" : "")));
    if (model.get("printed")) {
      const pre = document.createElement("pre");
      pre.textContent = model.get("printed");
      verdict.append(line("Your code printed:", "quiet"), pre);
    }
    const focused = row.contains(document.activeElement);
    row.replaceChildren(...buttons.map((name, position) => {
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("data-lm-suppress-shortcuts", "true");  // Enter presses it; Lab would edit the cell
      button.textContent = name;
      button.disabled = position !== opened.length;
      button.setAttribute("aria-label", position < opened.length ? `${name}: shown below`
        : position > opened.length ? `${name}: ask for ${buttons[opened.length]} first` : `Show ${name}`);
      button.addEventListener("click", () => model.send({ do: "help" }));
      return button;
    }));
    if (focused) row.querySelector("button:not(:disabled)")?.focus();
    help.replaceChildren(...opened.map(([name, text, isCode]) => {
      const block = document.createElement("div");
      block.className = "block";
      block.append(line(name, "headline"));
      if (isCode) { const pre = document.createElement("pre"); pre.textContent = text; block.append(pre); } else block.append(line(text));
      return block;
    }));
    panel.classList.toggle("good", model.get("right"));
    panel.classList.toggle("notyet", !model.get("right"));
    panel.dataset.rev = String(Number(panel.dataset.rev || 0) + 1);
  }

  const traits = ["verdict", "opened", "buttons", "right", "printed"];
  for (const trait of traits) model.on(`change:${trait}`, draw);
  draw();
  el.append(panel);
  return () => { for (const trait of traits) model.off(`change:${trait}`, draw); };
}

export default { render };
