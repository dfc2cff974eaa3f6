// A spreadsheet of lines x months: rows that open and close, cells that are typed over, pasted into, undone.
// Python knows the numbers; this draws the rows in sight and says what was typed.
const ROW = 27, SPARE = 15;

function render({ model, el }) {
  const rows = model.get("rows"), columns = model.get("columns"), details = model.get("details");
  const at = new Map(rows.map((row, index) => [row.id, index]));
  const texts = new Map();           // id -> [[text, state, note], ...]
  const open = new Set(rows.filter((row) => row.open).map((row) => row.id));
  let inSight = [], focus = [0, 0], corner = [0, 0], editor = null, last = null;

  el.classList.add("sopkit-sheet");
  const say = (step) => { el.setAttribute("aria-busy", "true"); model.send({ ...step, mark: last = Math.random() }); };
  const bar = el.appendChild(document.createElement("div"));
  bar.className = "bar";
  const button = (label, act, title) => {
    const made = bar.appendChild(document.createElement("button"));
    made.type = "button"; made.textContent = label; made.title = title;
    made.addEventListener("click", act);
    return made;
  };
  const undo = button("Undo", () => say({ type: "undo" }), "Ctrl+Z");
  const redo = button("Redo", () => say({ type: "redo" }), "Ctrl+Y");
  const behind = button("What lines are made of", () => {
    const shown = behind.getAttribute("aria-pressed") !== "true";
    behind.setAttribute("aria-pressed", shown);
    list(); draw();
  }, "Last year, baseline and layers under each line");
  behind.setAttribute("aria-pressed", "false");
  const told = bar.appendChild(document.createElement("span"));
  told.className = "told"; told.setAttribute("role", "status");
  const frame = el.appendChild(document.createElement("div"));
  frame.className = "frame";
  const table = frame.appendChild(document.createElement("table"));
  table.setAttribute("role", "treegrid");
  table.setAttribute("aria-label", model.get("label"));
  const head = table.createTHead().insertRow();
  for (const name of ["", ...columns]) {
    const cell = head.appendChild(document.createElement("th"));
    cell.scope = "col"; cell.textContent = name || model.get("corner");
  }
  const body = table.createTBody();

  function list() {
    const shown = behind.getAttribute("aria-pressed") === "true";
    inSight = [];
    rows.forEach((row) => {
      for (let up = row.parent; up !== null; up = rows[at.get(up)].parent) if (!open.has(up)) return;
      inSight.push(row);
      if (shown) details.forEach((label, k) => inSight.push({ id: `${row.id}|${k}`, label, depth: row.depth + 1, detail: true }));
    });
    table.setAttribute("aria-rowcount", inSight.length + 1);
  }

  function draw() {
    const first = Math.max(0, Math.floor(frame.scrollTop / ROW) - SPARE);
    const last = Math.min(inSight.length, first + Math.ceil((frame.clientHeight || 480) / ROW) + 2 * SPARE);
    const missing = inSight.slice(first, last).map((row) => row.id).filter((id) => !texts.has(id));
    if (missing.length) model.send({ type: "need", ids: missing });
    const made = document.createDocumentFragment();
    const space = (count) => {
      const filler = document.createElement("tr"); filler.setAttribute("aria-hidden", "true");
      filler.appendChild(document.createElement("td")).style.height = `${count * ROW}px`;
      if (count) made.appendChild(filler);
    };
    space(first);
    for (let index = first; index < last; index++) made.appendChild(line(index));
    space(inSight.length - last);
    body.replaceChildren(made);
    mark();
  }

  function line(index) {
    const row = inSight[index], drawn = document.createElement("tr"), name = document.createElement("th");
    drawn.dataset.row = index; drawn.setAttribute("aria-rowindex", index + 2); drawn.setAttribute("aria-level", row.depth + 1);
    drawn.className = row.detail ? "detail" : "";
    name.scope = "row"; name.style.paddingLeft = `${0.5 + row.depth * 1.1}em`; name.title = row.label;
    if (row.opens) {
      drawn.setAttribute("aria-expanded", open.has(row.id));
      const handle = name.appendChild(document.createElement("button"));
      handle.type = "button"; handle.tabIndex = -1; handle.textContent = open.has(row.id) ? "▾" : "▸";
      handle.setAttribute("aria-label", `${open.has(row.id) ? "close" : "open"} ${row.label}`);
      handle.addEventListener("click", () => toggle(row));
    }
    name.append(row.label);
    drawn.appendChild(name);
    (texts.get(row.id) || columns.map(() => ["", "", ""])).forEach(([text, state, note], column) => {
      const cell = drawn.appendChild(document.createElement("td"));
      cell.setAttribute("role", "gridcell"); cell.tabIndex = -1; cell.dataset.column = column;
      cell.textContent = text; cell.className = state; cell.title = note;
      if (row.detail || state === "locked") cell.setAttribute("aria-readonly", "true");
      if (state === "wrong") cell.setAttribute("aria-invalid", "true");
    });
    return drawn;
  }

  const cellAt = ([row, column]) => body.querySelector(`tr[data-row="${row}"] td[data-column="${column}"]`);
  const between = (row, column) => Math.min(focus[0], corner[0]) <= row && row <= Math.max(focus[0], corner[0])
    && Math.min(focus[1], corner[1]) <= column && column <= Math.max(focus[1], corner[1]);

  function mark() {
    for (const cell of body.querySelectorAll("td[data-column]")) {
      const row = Number(cell.parentNode.dataset.row), column = Number(cell.dataset.column);
      cell.tabIndex = row === focus[0] && column === focus[1] ? 0 : -1;
      cell.setAttribute("aria-selected", between(row, column));
    }
  }

  function go(row, column, extend = false) {
    focus = [Math.max(0, Math.min(inSight.length - 1, row)), Math.max(0, Math.min(columns.length - 1, column))];
    if (!extend) corner = [...focus];
    const top = focus[0] * ROW, room = frame.clientHeight - 2 * ROW;
    if (top < frame.scrollTop || top > frame.scrollTop + room) { frame.scrollTop = Math.max(0, top - room / 2); draw(); }
    mark();
    const cell = cellAt(focus);
    if (cell) { cell.focus({ preventScroll: true }); cell.scrollIntoView({ block: "nearest", inline: "nearest" }); }
    const note = cell && cell.title;
    if (note) told.textContent = note;
  }

  function toggle(row) {
    open.has(row.id) ? open.delete(row.id) : open.add(row.id);
    list(); draw(); go(inSight.indexOf(row), focus[1]);
  }

  function edit(start) {
    const row = inSight[focus[0]], cell = cellAt(focus);
    if (!cell || row.detail || cell.className === "locked") { told.textContent = "This line is shown, not changed: type into the line above it."; return; }
    const before = cell.textContent;
    editor = document.createElement("input");
    editor.value = start === null ? before : start;
    editor.setAttribute("aria-label", `${row.label}, ${columns[focus[1]]}, ${model.get("corner")}`);
    cell.replaceChildren(editor); editor.focus();
    if (start === null) editor.select();
    const here = [...focus];
    const leave = (keep, down, right) => {
      if (!editor) return;
      const typed = editor.value;
      editor = null; cell.textContent = before;
      if (keep && typed.trim() !== before) send([[row.id, here[1], typed]]);
      if (down || right) go(here[0] + down, here[1] + right); else mark();
    };
    editor.addEventListener("blur", () => leave(true, 0, 0));
    editor.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") { event.preventDefault(); leave(true, event.shiftKey ? -1 : 1, 0); }
      if (event.key === "Tab") { event.preventDefault(); leave(true, 0, event.shiftKey ? -1 : 1); }
      if (event.key === "Escape") { event.preventDefault(); leave(false, 0, 0); go(...here); }
    });
  }

  const send = (cells) => say({ type: "enter", cells });

  function chosen() {
    const [top, bottom] = [focus[0], corner[0]].sort((a, b) => a - b), [left, right] = [focus[1], corner[1]].sort((a, b) => a - b);
    return inSight.slice(top, bottom + 1).map((row) => [row, [...Array(right - left + 1).keys()].map((n) => left + n)]);
  }

  frame.addEventListener("keydown", (event) => {
    event.stopPropagation();           // JupyterLab has a command on nearly every letter
    if (editor) return;
    const [row, column] = focus, page = Math.floor(frame.clientHeight / ROW) - 2, far = event.ctrlKey || event.metaKey;
    const moves = { ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      PageUp: [row - page, column], PageDown: [row + page, column], Home: [far ? 0 : row, 0], End: [far ? inSight.length : row, columns.length] };
    if (far && "zy".includes(event.key.toLowerCase())) say({ type: event.key.toLowerCase() === "z" && !event.shiftKey ? "undo" : "redo" });
    else if (event.altKey && ["ArrowDown", "ArrowUp"].includes(event.key)) { if (inSight[row].opens) toggle(inSight[row]); }
    else if (moves[event.key]) go(...moves[event.key], event.shiftKey);
    else if (event.key === "Enter" || event.key === "F2") edit(null);
    else if (event.key === " " && inSight[row].opens) toggle(inSight[row]);
    else if (event.key === "Delete" || event.key === "Backspace") send(chosen().flatMap(([one, at]) => at.map((c) => [one.id, c, ""])));
    else if (event.key.length === 1 && !far && !event.altKey) edit(event.key);
    else return;
    event.preventDefault();
  });
  frame.addEventListener("copy", (event) => {
    if (editor) return;
    const block = chosen().map(([row, at]) => at.map((c) => (texts.get(row.id) || [])[c]?.[0].replaceAll(",", "") ?? "").join("\t")).join("\n");
    event.clipboardData.setData("text/plain", block);
    event.preventDefault(); event.stopPropagation();
  });
  frame.addEventListener("paste", (event) => {
    if (editor) return;
    event.preventDefault(); event.stopPropagation();
    const [top, left] = [Math.min(focus[0], corner[0]), Math.min(focus[1], corner[1])], cells = [];
    const block = event.clipboardData.getData("text/plain").replace(/\r?\n$/, "").split(/\r?\n/);
    block.forEach((text, down) => text.split("\t").forEach((typed, right) => {
      const row = inSight[top + down];
      cells.push([row ? row.id : "", left + right, typed]);
    }));
    send(cells);
  });
  body.addEventListener("mousedown", (event) => {
    const cell = event.target.closest("td[data-column]");
    if (!cell || event.target === editor) return;
    event.preventDefault();
    if (editor) editor.blur();
    go(Number(cell.parentNode.dataset.row), Number(cell.dataset.column), event.shiftKey);
  });
  body.addEventListener("mouseover", (event) => {
    const cell = event.target.closest("td[data-column]");
    if (cell && event.buttons === 1 && !editor) go(Number(cell.parentNode.dataset.row), Number(cell.dataset.column), true);
  });
  body.addEventListener("dblclick", (event) => { if (event.target.closest("td[data-column]")) edit(null); });
  frame.addEventListener("scroll", () => { if (!editor) requestAnimationFrame(draw); });

  const hear = (message) => {
    if (message.type === "cells") {
      if (message.heard === last) el.removeAttribute("aria-busy");
      for (const [id, cells] of Object.entries(message.cells)) texts.set(id, cells);
      undo.disabled = !message.undo; redo.disabled = !message.redo;
      told.textContent = message.told; told.className = message.wrong ? "told wrong" : "told";
      const had = body.contains(document.activeElement);
      if (!editor) { draw(); if (had) cellAt(focus)?.focus({ preventScroll: true }); }
    }
  };
  model.on("msg:custom", hear);
  list(); draw();
  return () => model.off("msg:custom", hear);
}

export default { render };
