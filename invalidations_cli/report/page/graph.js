/* The state machine: boxes that are buttons, over wires that are drawn. */

const TYPES_THAT_END = new Set(["Succeed", "Fail"]);
const CHIPS = 8;
const graphView = { boxes: new Map(), wires: [], zoom: 1, size: { width: 0, height: 0 }, everyCatch: false };

function drawGraph() {
  const stage = byId("stage");
  fill(stage);
  graphView.boxes.clear();
  graphView.wires = [];
  for (const [name, { state }] of states) {
    const box = stateBox(state);
    stage.append(box);
    graphView.boxes.set(name, { box, state });
  }
  updateBoxes();
  const taken = takenAnywhere();
  const machine = simplified(run.flow, taken);
  const labels = new Map(
    [...everyEdge(machine)].map((edge) => [edge, edgeLabel(edge, stage)]).filter(([, label]) => label),
  );
  const size = (element) => ({
    width: Math.ceil(element.getBoundingClientRect().width / graphView.zoom) + 1,
    height: Math.ceil(element.getBoundingClientRect().height / graphView.zoom),
  });
  const measured = (elements) => new Map([...elements].map(([key, element]) => [key, size(element)]));
  const layout = laidOut(
    machine,
    measured([...graphView.boxes].map(([name, { box }]) => [name, box])),
    measured(labels),
  );
  graphView.size = { width: layout.width, height: layout.height };
  placeBoxes(layout, stage);
  drawWires(layout, labels, stage);
  updateWires();
}

function* everyEdge(machine) {
  yield* machine.edges;
  for (const state of machine.states) for (const inner of state.machines) yield* everyEdge(inner);
}

const isCatch = (edge) => edge.kind === "catch";
const takenAnywhere = () =>
  new Set(run.visits.filter((visit) => visit.status === "caught").map((visit) => `${visit.state}\u0000${visit.next}`));

/* Unless all are asked for, a Catch that was not taken is left out where other ways lead to its state: most
   Tasks have one. */
function simplified(machine, taken) {
  const onlyCaught = (target) =>
    target !== machine.start && machine.edges.every((edge) => edge.target !== target || isCatch(edge));
  const kept = (edge) =>
    graphView.everyCatch ||
    !isCatch(edge) ||
    taken.has(`${edge.source}\u0000${edge.target}`) ||
    onlyCaught(edge.target);
  return {
    ...machine,
    edges: machine.edges.filter(kept),
    states: machine.states.map((state) => ({
      ...state,
      machines: state.machines.map((inner) => simplified(inner, taken)),
    })),
  };
}

function stateBox(state) {
  const button = el("button", {
    type: "button",
    class: "state",
    "data-state": state.name,
    onclick: () => select(state.name),
  });
  const classes = [
    "box",
    state.type.toLowerCase(),
    TYPES_THAT_END.has(state.type) && "terminal",
    state.machines.length > 0 && "container",
  ];
  const box = el("div", { class: classes.filter(Boolean).join(" ") }, button);
  if (state.type === "Map")
    box.append(el("div", { class: "iterations", role: "group", "aria-label": `Iterations of ${state.name}` }));
  return box;
}

function edgeLabel(edge, stage) {
  if (!edge.label || edge.kind === "catch") return null;
  const label = el("span", { class: "edge-label", "aria-hidden": "true" }, edge.label);
  stage.append(label);
  return label;
}

/* What a box says; called again when another iteration is looked at. */
function updateBoxes() {
  for (const [name, { box, state }] of graphView.boxes) {
    const status = statusOf(name);
    for (const known of Object.keys(STATUSES)) box.classList.toggle(known, known === status);
    const facts = factsOf(state, status);
    fill(
      box.querySelector(".state"),
      glyph(status, state.type),
      el(
        "span",
        { class: "words" },
        el("span", { class: "name" }, name),
        el("span", { class: "facts" }, facts.join(" · ")),
      ),
      el("span", { class: "unseen" }, `, ${STATUSES[status].text}`),
    );
    if (state.type === "Map") fill(box.querySelector(".iterations"), iterationChips(state));
  }
}

function factsOf(state, status) {
  const visits = visitsOf(state.name);
  const facts = [state.type];
  if (state.ends) facts.push("end");
  if (!visits.length) return status === "unrecorded" ? [...facts, "not recorded"] : facts;
  const attempts = visits.reduce((sum, visit) => sum + visit.attempts.length, 0);
  if (visits.length > 1) facts.push(`×${visits.length}`);
  if (attempts > visits.length && status !== "succeeded") facts.push(`${attempts} attempts`);
  if (!TYPES_THAT_END.has(state.type) && state.type !== "Choice")
    facts.push(duration(visits.reduce((sum, visit) => sum + lasted(visit), 0)));
  return facts;
}

function iterationChips(state) {
  const all = iterationsOf(state.name);
  if (!all.length) return null;
  const names = iterationNames(all);
  const current = chosen.get(state.name);
  const chip = (iteration, text, status) =>
    el(
      "button",
      {
        type: "button",
        class: `chip ${status ?? ""}`,
        "aria-pressed": String(current === iteration?.number),
        "data-iteration": iteration?.number ?? "all",
        "aria-label": iteration ? `Iteration ${names.get(iteration)}, ${STATUSES[status].text}` : "All iterations",
        onclick: () => chooseIteration(state.name, iteration?.number),
      },
      iteration && glyph(status),
      text,
    );
  if (all.length <= CHIPS)
    return [chip(undefined, "All"), ...all.map((iteration) => chip(iteration, names.get(iteration), iteration.status))];
  const picker = el(
    "select",
    { "aria-label": `Iteration of ${state.name}` },
    el("option", { value: "" }, `All ${all.length} iterations`),
    all.map((iteration) =>
      el(
        "option",
        { value: iteration.number },
        `${STATUSES[iteration.status].glyph} ${names.get(iteration)} ${shortStatus(iteration.status)}`,
      ),
    ),
  );
  picker.value = current ?? "";
  picker.addEventListener("change", () =>
    chooseIteration(state.name, picker.value === "" ? undefined : Number(picker.value)),
  );
  return picker;
}

function placeBoxes(layout, stage) {
  stage.style.width = `${layout.width}px`;
  stage.style.height = `${layout.height}px`;
  for (const { name, x, y, width, height, frame, heading } of layout.boxes) {
    const { box } = graphView.boxes.get(name);
    Object.assign(box.style, {
      left: `${x}px`,
      top: `${y}px`,
      width: `${width}px`,
      height: `${frame ? heading.height : height}px`,
    });
    graphView.boxes.get(name).place = { x, y, width, height: frame ? heading.height : height };
    if (!frame) continue;
    const border = el("div", { class: "frame" });
    Object.assign(border.style, { left: `${x}px`, top: `${y}px`, width: `${width}px`, height: `${height}px` });
    stage.prepend(border);
    graphView.boxes.get(name).border = border;
  }
}

function drawWires(layout, labels, stage) {
  const drawing = svg("svg", { class: "wires", width: layout.width, height: layout.height, "aria-hidden": "true" });
  const markers = svg("defs");
  for (const kind of ["idle", "taken", "caught"]) {
    const marker = svg("marker", {
      id: `arrow-${kind}`,
      class: `arrow ${kind}`,
      viewBox: "0 0 8 8",
      refX: 7,
      refY: 4,
      markerWidth: 7,
      markerHeight: 7,
      markerUnits: "userSpaceOnUse",
      orient: "auto",
    });
    marker.append(svg("path", { d: "M0,0.6L8,4L0,7.4z" }));
    markers.append(marker);
  }
  drawing.append(markers);
  for (const dot of layout.dots)
    drawing.append(svg("circle", { class: "dot", cx: dot.x + DOT / 2, cy: dot.y + DOT / 2, r: DOT / 2 - 1 }));
  for (const wire of layout.wires) {
    const path = svg("path", { d: curve(wire) });
    const label = labels.get(wire.edge);
    if (label && wire.label) Object.assign(label.style, { left: `${wire.label.x}px`, top: `${wire.label.y}px` });
    if (wire.edge?.kind === "catch") {
      const title = svg("title");
      title.textContent = `Catch: ${wire.edge.label || "any error"}`;
      path.append(title);
    }
    drawing.append(path);
    graphView.wires.push({ path, label, edge: wire.edge });
  }
  const first = stage.querySelector(".box");
  stage.insertBefore(drawing, first);
}

function updateWires() {
  const counts = transitions();
  for (const { path, label, edge } of graphView.wires) {
    const caught = edge?.kind === "catch";
    const count = edge ? (counts.get([edge.source, edge.target, caught ? "catch" : "next"].join("\u0000")) ?? 0) : 1;
    path.setAttribute("class", ["wire", edge?.kind ?? "next", count > 0 && "taken"].filter(Boolean).join(" "));
    path.setAttribute("marker-end", `url(#arrow-${count === 0 ? "idle" : caught ? "caught" : "taken"})`);
    label?.classList.toggle("taken", count > 0);
  }
  // What was taken is drawn over what was not.
  const drawing = document.querySelector(".wires");
  for (const { path } of graphView.wires) if (path.classList.contains("taken")) drawing.append(path);
}

function drawLegend() {
  const counts = grouped([...states.keys()], statusOf);
  fill(
    byId("legend"),
    Object.keys(STATUSES)
      .filter((status) => counts.has(status))
      .map((status) =>
        el("li", { class: status }, glyph(status), `${counts.get(status).length} ${shortStatus(status)}`),
      ),
  );
}
