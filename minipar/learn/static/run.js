// The run panel: Run, Stop, what is happening, then the score. All words come from the kernel.
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

function render({ model, el }) {
  const panel = document.createElement("div");
  panel.className = "minipar-panel";
  panel.setAttribute("role", "group");
  panel.setAttribute("aria-label", "The run");
  panel.innerHTML = `<div class="row"><button type="button" class="main" data-lm-suppress-shortcuts="true">Run</button>
    <button type="button" class="stop" data-lm-suppress-shortcuts="true">Stop</button><progress max="1" hidden></progress>
    <span class="said" role="status" aria-live="polite"></span></div><pre hidden aria-label="What the workers printed"></pre>
    <div class="score" aria-live="polite"></div>`;
  const [run, stop] = panel.querySelectorAll("button");
  const bar = panel.querySelector("progress"), said = panel.querySelector(".said");
  const log = panel.querySelector("pre"), score = panel.querySelector(".score");
  run.addEventListener("click", () => { run.disabled = true; model.send({ do: "run" }); });
  stop.addEventListener("click", () => { stop.disabled = true; model.send({ do: "stop" }); });

  function draw() {
    const state = model.get("state");
    run.disabled = state === "locked" || state === "running";
    run.textContent = state === "locked" || state === "ready" || state === "running" ? "Run" : "Run again";
    run.setAttribute("aria-label", state === "locked" ? "Run: lock your answer first" : `${run.textContent}: the experiment above`);
    stop.hidden = state !== "running";
    stop.disabled = false;
    stop.setAttribute("aria-label", "Stop the experiment");
    bar.hidden = state !== "running";
    if (model.get("fraction") >= 0) bar.value = model.get("fraction"); else bar.removeAttribute("value");
    bar.setAttribute("aria-label", "How far the run is");
    if (said.textContent !== model.get("said")) said.textContent = model.get("said");
    log.hidden = !model.get("log");
    if (log.textContent !== model.get("log")) { log.textContent = model.get("log"); log.scrollTop = log.scrollHeight; }
    score.replaceChildren(...model.get("score").map((lines) => {
      const block = document.createElement("div");
      block.className = "block";
      lines.forEach((line, number) => {
        const p = document.createElement("p");
        if (number === 0) p.className = "headline";
        written(p, line);
        block.append(p);
      });
      return block;
    }));
    panel.classList.toggle("good", state === "done");
    panel.classList.toggle("notyet", state === "failed" || state === "stopped");
    panel.dataset.state = state;
  }

  const traits = ["state", "said", "fraction", "log", "score"];
  for (const trait of traits) model.on(`change:${trait}`, draw);
  draw();
  el.append(panel);
  return () => { for (const trait of traits) model.off(`change:${trait}`, draw); };
}

export default { render };
