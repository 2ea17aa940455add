/* What one state did, or the execution as a whole. */

const selection = { state: null, visit: null };

function drawDetails() {
  const panel = byId("details");
  fill(panel, selection.state === null ? executionDetails() : stateDetails(selection.state));
  panel.scrollTop = 0;
}

const fact = (name, ...value) => [el("dt", {}, name), el("dd", {}, ...value)];
const badge = (status) => el("span", { class: `badge ${status}` }, glyph(status), shortStatus(status));

function stateLink(visit, ...text) {
  return el("button", { type: "button", class: "link", onclick: () => selectVisit(visit) }, ...text);
}

function executionDetails() {
  const first = run.events[0]?.details;
  const last = run.events.at(-1)?.details;
  const incidents = run.visits.filter(
    (visit) =>
      ["failed", "aborted", "caught", "retried"].includes(visit.status) &&
      !(visit.type === "Map" && visit.status === "aborted"),
  );
  return [
    el("h2", {}, "Execution"),
    consoleLink("Step Functions console ↗"),
    run.error || run.cause ? causeOf(run.error, run.cause) : null,
    el(
      "dl",
      { class: "facts-list" },
      summaryFacts(),
      fact("Started", moment(run.start)),
      run.end !== null ? fact("Ended", moment(run.end)) : null,
      fact("Took", duration(runEnd - run.start)),
      fact("Visits", `${many(run.visits.length, "state")} entered, ${many(run.events.length, "event")}`),
      run.arn &&
        fact(
          "ARN",
          el("code", {}, run.arn),
          copyButton(() => run.arn, "ARN"),
        ),
    ),
    distributionTable(),
    el("h3", {}, "Worth a look"),
    incidents.length === 0
      ? el("p", { class: "quiet" }, "Nothing was retried, caught or failed.")
      : el(
          "ul",
          { class: "incidents" },
          incidents.slice(0, 40).map(incident),
          incidents.length > 40 &&
            el("li", { class: "quiet" }, `and ${incidents.length - 40} more: the timeline has them all`),
        ),
    payload("Input", first?.input),
    payload("Output", last?.output),
  ];
}

function incident(visit) {
  const failed = visit.attempts.filter((attempt) => attempt.outcome === "failed");
  const errors = [...new Set(failed.map((attempt) => attempt.error))].filter(Boolean);
  const label = iterationLabel(visit);
  return el(
    "li",
    {},
    glyph(visit.status),
    el(
      "div",
      {},
      stateLink(visit, visit.state, label && ` ${label}`),
      el(
        "p",
        { class: "quiet" },
        [
          shortStatus(visit.status),
          visit.attempts.length > 1 && many(visit.attempts.length, "attempt"),
          visit.error || errors.join(", "),
          `at +${duration(visit.start - run.start)}`,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
  );
}

function stateDetails(name) {
  const { state } = states.get(name) ?? { state: { name, type: "", comment: "", machines: [] } };
  const visits = visitsOf(name);
  const status = statusOf(name);
  const heading = [
    el("h2", {}, name),
    badge(visits.length > 1 && selection.visit !== null ? run.visits[selection.visit].status : status),
    el("p", { class: "quiet" }, [state.type, state.resource, state.note].filter(Boolean).join(" · ")),
    state.comment && el("p", { class: "comment" }, state.comment),
  ];
  const definition =
    bodies.has(name) && payload("Definition", JSON.stringify(withoutMachines(bodies.get(name))), NOTHING, false);
  if (!visits.length) {
    const why =
      status === "unrecorded"
        ? "This history does not tell what happened inside its container."
        : chosen.size
          ? "Not reached in the iteration that is shown."
          : "Not reached in this execution.";
    return [heading, el("p", { class: "notice" }, why), state.type === "Map" && iterationTable(state), definition];
  }
  const visit = visits.find((each) => each.number === selection.visit) ?? visits[0];
  return [
    heading,
    visits.length > 1 && visitPicker(visits, visit),
    visitDetails(visit, state.type === "Map" && iterationTable(state)),
    definition,
  ];
}

function withoutMachines(body) {
  const inner = ["ItemProcessor", "Iterator", "Branches"];
  return Object.fromEntries(Object.entries(body).map(([key, value]) => [key, inner.includes(key) ? "…" : value]));
}

function visitPicker(visits, current) {
  const position = visits.indexOf(current);
  const step = (by, label, text) =>
    el(
      "button",
      {
        type: "button",
        disabled: !visits[position + by],
        "aria-label": label,
        onclick: () => selectVisit(visits[position + by]),
      },
      text,
    );
  const picker = el(
    "select",
    { "aria-label": "Visit" },
    visits.map((visit, index) =>
      el(
        "option",
        { value: index },
        [
          `${STATUSES[visit.status].glyph} ${index + 1} of ${visits.length}`,
          iterationLabel(visit),
          `+${duration(visit.start - run.start)}`,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    ),
  );
  picker.value = String(position);
  picker.addEventListener("change", () => selectVisit(visits[Number(picker.value)]));
  return el(
    "div",
    { class: "visits", role: "group", "aria-label": "Visits of this state" },
    "Visit",
    step(-1, "Previous visit", "‹"),
    picker,
    step(1, "Next visit", "›"),
  );
}

function visitDetails(visit, iterations) {
  const input = detailOf(visit.entered, "input");
  const output = detailOf(visit.exited, "output");
  const label = iterationLabel(visit);
  return [
    visit.error || (visit.cause && visit.status !== "succeeded") ? causeOf(visit.error, visit.cause) : null,
    el(
      "dl",
      { class: "facts-list" },
      label && fact("Iteration", label),
      fact("Entered", `${clock(visit.start)}`, el("small", {}, ` +${duration(visit.start - run.start)}`)),
      fact(visit.exited === null ? "Until" : "Left", visit.end === null ? "still in it" : clock(visit.end)),
      fact("Took", duration(lasted(visit))),
      visit.next !== null &&
        fact("Then", el("button", { type: "button", class: "link", onclick: () => select(visit.next) }, visit.next)),
    ),
    visit.attempts.length > 1 ? attemptTable(visit) : null,
    iterations,
    payload("Input", input),
    payload("Output", output, input === undefined ? NOTHING : parsed(input)),
    input === undefined && el("p", { class: "quiet" }, "The history was read without its data."),
  ];
}

function attemptTable(visit) {
  const rows = visit.attempts.map((attempt, index) => {
    const before = visit.attempts[index - 1];
    const waited = before?.end ? attempt.start - before.end : 0;
    return el(
      "tr",
      { class: attempt.outcome },
      el("td", {}, String(index + 1)),
      el(
        "td",
        {},
        `+${duration(attempt.start - visit.start)}`,
        waited > 0 && el("small", {}, ` after ${duration(waited)}`),
      ),
      el("td", {}, attempt.end === null ? "—" : duration(attempt.end - attempt.start)),
      el(
        "td",
        {},
        glyph(attempt.outcome === "open" ? "running" : attempt.outcome),
        " ",
        attempt.outcome === "open" ? "no end recorded" : attempt.error || attempt.outcome,
      ),
    );
  });
  return el(
    "section",
    { class: "attempts" },
    el("h3", {}, `Attempts (${visit.attempts.length})`),
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["#", "Began", "Took", "Outcome"].map((name) => el("th", { scope: "col" }, name)),
        ),
      ),
      el("tbody", {}, rows),
    ),
  );
}

function iterationTable(state) {
  const all = iterationsOf(state.name);
  if (!all.length) return null;
  const names = iterationNames(all);
  const current = all.find((iteration) => iteration.number === chosen.get(state.name));
  const rows = all.slice(0, 200).map((iteration) =>
    el(
      "tr",
      { class: iteration === current ? "current" : "" },
      el(
        "td",
        {},
        el(
          "button",
          {
            type: "button",
            class: "link",
            "aria-pressed": String(iteration === current),
            onclick: () => chooseIteration(state.name, iteration === current ? undefined : iteration.number),
          },
          names.get(iteration),
        ),
      ),
      el("td", {}, glyph(iteration.status), " ", shortStatus(iteration.status)),
      el("td", {}, iteration.recorded ? duration((iteration.end ?? runEnd) - iteration.start) : "not recorded"),
    ),
  );
  return el(
    "section",
    { class: "attempts" },
    el("h3", {}, `Iterations (${all.length})`),
    el(
      "table",
      {},
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["Item", "Outcome", "Took"].map((name) => el("th", { scope: "col" }, name)),
        ),
      ),
      el("tbody", {}, rows),
    ),
    current && payload(`Input of ${names.get(current)}`, ends(current).input),
    current && payload(`Output of ${names.get(current)}`, ends(current).output),
  );
}

/* What went into an iteration and came out of it: of its first and its last state, or what the Map's own data say. */
function ends(iteration) {
  if (!iteration.recorded) return iteration;
  const inside = run.visits.filter((visit) => visit.iteration === iteration.number);
  return {
    input: detailOf(inside[0]?.entered ?? null, "input"),
    output: detailOf(inside.at(-1)?.exited ?? null, "output"),
  };
}
