// The words of an explorer: tasks with a tick, facts, a sentence, a problem. One live region, changed in place.

function words(model, box) {
  box.replaceChildren();
  for (const [sentence, met] of model.get("tasks")) {
    const line = element("div", "minipar-task" + (met ? " minipar-met" : ""), undefined, box);
    element("span", "minipar-tick", met ? "✓" : "○", line).setAttribute("aria-label", met ? "done" : "to do");
    element("span", "", sentence, line);
  }
  const facts = model.get("facts");
  if (facts.length) {
    const list = element("div", "minipar-facts", undefined, box);
    for (const [label, value] of facts) {
      const fact = element("div", "minipar-fact", undefined, list);
      element("span", "minipar-value", value, fact);
      element("span", "minipar-what", label, fact);
    }
  }
  if (model.get("sentence")) element("div", "minipar-sentence", model.get("sentence"), box);
  if (model.get("problem")) element("div", "minipar-problem", model.get("problem"), box);
}

// The sliders of ipywidgets show a label but do not tie it to the handle, so a screen reader hears only "slider".
function nameHandles(el) {
  const panel = el.closest(".minipar-explorer");
  for (const slider of panel ? panel.querySelectorAll(".widget-slider, .jupyter-widget-slider") : []) {
    const label = slider.querySelector(".widget-label")?.textContent;
    for (const handle of slider.querySelectorAll(".noUi-handle")) handle.setAttribute("aria-label", label || "slider");
  }
}

export default {
  render({ model, el }) {
    const box = element("div", "minipar-words", undefined, el);
    box.setAttribute("role", "status");
    box.setAttribute("aria-live", "polite");
    box.setAttribute("aria-label", model.get("name"));
    const draw = () => {
      words(model, box);
      nameHandles(el);
    };
    for (const trait of ["facts", "tasks", "sentence", "problem"]) model.on("change:" + trait, draw);
    draw();
    const later = setTimeout(() => nameHandles(el), 500);
    return () => {
      clearTimeout(later);
      for (const trait of ["facts", "tasks", "sentence", "problem"]) model.off("change:" + trait, draw);
    };
  },
};
