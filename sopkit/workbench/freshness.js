// Marks every figure of the notebook that is older than what it shows; Python says which tables changed, and when.
// And holds a press until Python knows what was typed before it.
const EVERY = 3000;   // milliseconds between two looks

function render({ model, el }) {
  const home = () => el.closest(".jp-Notebook") || document.body;   // not there yet when this is first drawn
  el.setAttribute("role", "status");
  el.className += " sopkit-freshness";
  let waits = null, held = null, since_held = 0;

  const why = (figure) => {
    const stale = model.get("stale"), since = model.get("since");
    if (figure.dataset.stale) return figure.dataset.stale;
    for (const table of figure.dataset.tables.split(" ")) {
      if (stale[table]) return stale[table];
      if ((since[table] || 0) > Number(figure.dataset.made)) return "made before your last change. Run its cell again.";
    }
    return "";
  };

  function mark() {
    waits = null;
    let count = 0;
    for (const figure of home().querySelectorAll("figure.sop-figure[data-made]")) {
      const text = why(figure);
      let told = figure.querySelector(":scope > .sopkit-stale");
      count += text ? 1 : 0;
      if (!text) { if (told) told.remove(); }
      else if (!told || told.textContent !== `Stale: ${text}`) {
        told = told || figure.insertBefore(document.createElement("p"), figure.firstChild);
        told.className = "sopkit-stale"; told.textContent = `Stale: ${text}`;
      }
      figure.classList.toggle("stale", Boolean(text));
    }
    // ipywidgets gives the handle of a slider no name
    for (const handle of home().querySelectorAll(".widget-slider .noUi-handle:not([aria-label])"))
      handle.setAttribute("aria-label", handle.closest(".widget-slider").querySelector(".widget-label")?.textContent || "value");
    const all = count ? `${count} figure${count > 1 ? "s" : ""} of this page ${count > 1 ? "are" : "is"} stale and marked so.` : "";
    const slow = held && Date.now() > since_held + 1000 ? `The press waits: Python is busy. ` : "";
    if (el.textContent !== slow + all) el.textContent = slow + all;
  }
  const soon = () => { waits = waits || setTimeout(mark, 150); };

  model.on("change:stale", soon);
  model.on("change:since", soon);
  model.on("change:answered", () => { model.asked = 0; });
  const observer = new MutationObserver(soon);
  observer.observe(document.body, { childList: true, subtree: true });
  // what others store is seen while the page is looked at; nothing is asked twice before it is answered
  const timer = setInterval(() => {
    if (document.hidden || model.asked > Date.now() - 60000) return;
    model.asked = Date.now(); model.send({ type: "look" });
  }, EVERY);
  // ipywidgets keeps quick changes back while one is on its way, and the kernel may hear a press before a change that
  // was sent before it: every change has to be answered first. What stops something waits for nobody.
  const known = async () => {
    const models = await Promise.allSettled(Object.values(model.widget_manager._models || {}));
    return !models.some(({ value }) => value?.comm_live && (value._pending_msgs || value._msg_buffer))
      && !el.closest(".widget-vbox")?.querySelector(".sopkit-sheet[aria-busy]");
  };
  const hold = async (event) => {
    const button = event.target.closest(".widget-button:not(.sopkit-stop)");
    if (!event.isTrusted || !button || !el.closest(".widget-vbox")?.contains(button)) return;
    event.preventDefault(); event.stopImmediatePropagation();
    if (held) return;
    held = button; since_held = Date.now();
    while (!await known()) { await new Promise((done) => setTimeout(done, 20)); soon(); }
    held = null; soon();
    button.click();
  };
  document.addEventListener("click", hold, true);
  mark();
  return () => { clearInterval(timer); observer.disconnect(); document.removeEventListener("click", hold, true); };
}

export default { render };
