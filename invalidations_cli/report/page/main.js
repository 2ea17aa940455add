/* What happens when: one selection and one choice of iterations, which all views show. */

function select(name) {
  const visits = visitsOf(name);
  const notable = ["failed", "aborted", "running", "caught", "retried"];
  const visit = visits.find((each) => notable.includes(each.status)) ?? visits[0];
  show(name, visit?.number ?? null);
}

function selectVisit(visit) {
  for (const iteration of iterationsAround(visit)) {
    const state = run.visits[iteration.visit].state;
    if (chosen.has(state) && chosen.get(state) !== iteration.number) {
      chosen.set(state, iteration.number);
      refresh();
    }
  }
  show(visit.state, visit.number);
}

function show(name, visit) {
  Object.assign(selection, { state: name, visit });
  drawDetails();
  markSelection();
  if (name !== null && graphView.boxes.has(name)) reveal(name);
  if (eventView.which === "state") updateEvents();
  keepAddress();
  byId("announce").textContent = name === null ? "Execution" : `${name}: ${STATUSES[statusOf(name)].text}`;
}

/* The address names what is shown, so that a colleague opens the same place: `#state=Get%20Invalidation&visit=7`. */
function keepAddress() {
  const parts = new URLSearchParams();
  if (selection.state !== null) parts.set("state", selection.state);
  if (selection.visit !== null && visitsByState.get(selection.state)?.length > 1) parts.set("visit", selection.visit);
  const text = parts.toString().replaceAll("+", "%20");
  if (text !== location.hash.slice(1)) history.replaceState(null, "", text ? `#${text}` : "#");
}

/* Whether the address names a state of this execution, which is then shown. */
function showAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const name = parts.get("state");
  if (!states.has(name)) return false;
  const visit = parts.has("visit") ? run.visits[Number(parts.get("visit"))] : undefined;
  if (visit?.state === name) selectVisit(visit);
  else select(name);
  return true;
}

function markSelection() {
  for (const [name, { box, border }] of graphView.boxes) {
    const here = name === selection.state;
    box.classList.toggle("selected", here);
    border?.classList.toggle("selected", here);
    box.querySelector(".state").setAttribute("aria-current", String(here));
  }
  for (const row of document.querySelectorAll("#timeline [data-state]"))
    row.classList.toggle("selected", row.dataset.state === selection.state);
  for (const each of document.querySelectorAll("#timeline [data-visit]"))
    each.classList.toggle("selected", Number(each.dataset.visit) === selection.visit);
}

function chooseIteration(map, number) {
  if (number === undefined) chosen.delete(map);
  else chosen.set(map, number);
  for (const [name, { state }] of states)
    if (state.type === "Map" && name !== map && isInside(name, map)) chosen.delete(name);
  const focus = document.activeElement?.dataset?.iteration;
  refresh();
  if (focus !== undefined)
    graphView.boxes
      .get(map)
      .box.querySelector(`[data-iteration="${Number(focus) >= 0 ? Number(focus) : "all"}"]`)
      ?.focus();
  const kept = selection.state !== null && visitsOf(selection.state).some((visit) => visit.number === selection.visit);
  if (selection.state === null) select(map);
  else if (kept) show(selection.state, selection.visit);
  else select(selection.state);
}

function isInside(name, container) {
  for (let at = states.get(name).container; at !== null; at = states.get(at).container)
    if (at === container) return true;
  return false;
}

function refresh() {
  updateBoxes();
  updateWires();
  drawLegend();
  drawTimeline();
  updateEvents();
  markSelection();
}

function drawTop() {
  const status = run.status.toLowerCase().replace("_", " ");
  const look = { SUCCEEDED: "succeeded", RUNNING: "running", FAILED: "failed" }[run.status] ?? "aborted";
  const counts = ["retried", "caught", "failed"]
    .map((each) => [each, run.visits.filter((visit) => visit.status === each).length])
    .filter(([, count]) => count);
  fill(
    byId("top"),
    el("span", { class: `badge large ${look}` }, glyph(look), status),
    el("div", { class: "title" }, el("h1", {}, run.name), el("p", { class: "quiet" }, run.machine)),
    el(
      "dl",
      {},
      run.summary.batch && fact("Outcome", inWords(run.summary.batch.outcome)),
      fact(
        "Started",
        el("time", { datetime: new Date(run.start).toISOString() }, moment(run.start).replace(/\.\d+ /, " ")),
      ),
      fact("Took", duration(runEnd - run.start)),
      counts.map(([each, count]) => fact(each[0].toUpperCase() + each.slice(1), String(count))),
    ),
    drawSearch(),
    el("button", { type: "button", id: "overview", onclick: () => show(null, null) }, "Overview"),
  );
}

function wireTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const open = (tab) =>
    tabs.forEach((each) => {
      each.setAttribute("aria-selected", String(each === tab));
      each.tabIndex = each === tab ? 0 : -1;
      byId(each.getAttribute("aria-controls")).hidden = each !== tab;
    });
  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => open(tab));
    tab.addEventListener("keydown", (event) => {
      if (!["ArrowLeft", "ArrowRight"].includes(event.key)) return;
      const next = tabs[(index + (event.key === "ArrowRight" ? 1 : tabs.length - 1)) % tabs.length];
      open(next);
      next.focus();
    });
  });
  open(tabs[0]);
}

function begin() {
  drawTop();
  drawGraph();
  drawLegend();
  drawTimeline();
  drawEvents();
  wireTabs();
  wireZoom();
  byId("graph").addEventListener("keydown", graphKeys);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && selection.state !== null) show(null, null);
  });
  zoomTo(Math.max(fitZoom(true), Math.min(fitZoom(false), ZOOM.legible)));
  byId("viewport").scrollTop = 0;
  // A state that failed by itself is what one came for; where a Fail state was reached, the overview tells why.
  const broken = run.visits.find(
    (visit) => visit.status === "failed" && !["Map", "Parallel", "Fail"].includes(visit.type),
  );
  window.addEventListener("hashchange", () => showAddress() || show(null, null));
  if (!showAddress()) {
    if (run.status === "FAILED" && broken && !run.summary.batch) selectVisit(broken);
    else show(null, null);
  }
  document.documentElement.dataset.ready = "true";
}

begin();
