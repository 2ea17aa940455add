/* The history as a table: filtered by words, by errors, by the state that is selected. */

const EVENTS_AT_ONCE = 200;
const FAILURE = /(Failed|TimedOut|Aborted)$/;
const eventView = { words: "", which: "all", shown: EVENTS_AT_ONCE, rows: null, count: null };

function drawEvents() {
  const words = el("input", {
    type: "search",
    id: "event-words",
    placeholder: "Filter: type, state, error, anything in the data",
    "aria-label": "Filter events",
  });
  words.addEventListener("input", () => {
    eventView.words = words.value;
    eventView.shown = EVENTS_AT_ONCE;
    updateEvents();
  });
  const which = el(
    "select",
    { "aria-label": "Which events" },
    [
      ["all", "All events"],
      ["errors", "Errors only"],
      ["state", "Selected state only"],
    ].map(([value, text]) => el("option", { value }, text)),
  );
  which.addEventListener("change", () => {
    eventView.which = which.value;
    eventView.shown = EVENTS_AT_ONCE;
    updateEvents();
  });
  eventView.count = el("span", { class: "quiet", role: "status" });
  eventView.rows = el("tbody");
  fill(
    byId("events"),
    el("div", { class: "filters" }, words, which, eventView.count),
    el(
      "table",
      { class: "events" },
      el(
        "colgroup",
        {},
        ["id", "time", "type", "place", "what"].map((name) => el("col", { class: name })),
      ),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          ["Id", "Time", "Event", "State", "What"].map((name) => el("th", { scope: "col" }, name)),
        ),
      ),
      eventView.rows,
    ),
  );
  updateEvents();
}

const stateOf = (event) => (event.visit === null ? "" : run.visits[event.visit].state);

function eventMatches(event, words) {
  if (eventView.which === "errors" && !FAILURE.test(event.type)) return false;
  if (eventView.which === "state" && stateOf(event) !== selection.state) return false;
  if (event.iteration !== null && event.visit !== null && !inScope({ iteration: event.iteration })) return false;
  const text = words.length
    ? `${event.id} ${event.type} ${stateOf(event)} ${JSON.stringify(event.details)}`.toLowerCase()
    : "";
  return words.every((word) => text.includes(word));
}

function updateEvents() {
  const words = eventView.words.toLowerCase().split(/\s+/).filter(Boolean);
  const matching = run.events.filter((event) => eventMatches(event, words));
  eventView.count.textContent = `${matching.length.toLocaleString("en")} of ${many(run.events.length, "event")}`;
  const rows = matching.slice(0, eventView.shown).map(eventRow);
  const rest = matching.length - eventView.shown;
  const more =
    rest > 0 &&
    el(
      "tr",
      {},
      el(
        "td",
        { colspan: 5 },
        el(
          "button",
          {
            type: "button",
            class: "more",
            onclick: () => {
              eventView.shown += 1000;
              updateEvents();
            },
          },
          `Show more (${rest.toLocaleString("en")} left)`,
        ),
      ),
    );
  fill(eventView.rows, rows, more);
}

function eventRow(event) {
  const bad = FAILURE.test(event.type);
  const toggle = el("button", { type: "button", class: "link", "aria-expanded": "false" }, event.type);
  const iteration = event.iteration === null ? "" : ` ${iterationLabel({ iteration: event.iteration })}`;
  const state = event.visit === null ? "" : stateLink(run.visits[event.visit], stateOf(event), iteration);
  const row = el(
    "tr",
    { class: bad ? "bad" : "", "data-event": event.id },
    el("td", { class: "number" }, String(event.id)),
    el("td", { class: "number", title: moment(event.time) }, `+${duration(event.time - run.start)}`),
    el("td", {}, toggle),
    el("td", {}, state),
    el("td", { class: "what" }, el("span", {}, summaryOf(event))),
  );
  toggle.addEventListener("click", () => expand(event, row, toggle));
  return row;
}

function summaryOf(event) {
  const { error, cause, resource, resourceType, index, length } = event.details;
  if (error || cause) return [error, cause && messageOf(parsed(cause))].filter(Boolean).join(": ");
  if (resource) return resourceType && !String(resource).includes(":") ? `${resourceType}:${resource}` : resource;
  if (length !== undefined) return many(length, "item");
  return index === undefined ? "" : `#${index}`;
}

function expand(event, row, toggle) {
  const open = toggle.getAttribute("aria-expanded") === "true";
  toggle.setAttribute("aria-expanded", String(!open));
  if (open) {
    row.nextElementSibling.remove();
    return;
  }
  const unfolded = Object.fromEntries(
    Object.entries(event.details).map(([key, value]) => [
      key,
      ["input", "output", "parameters", "cause"].includes(key) ? parsed(value) : value,
    ]),
  );
  row.after(
    el(
      "tr",
      { class: "expanded" },
      el(
        "td",
        { colspan: 5 },
        el("p", { class: "quiet" }, moment(event.time), ` · after event ${event.previous}`),
        payload("Details", JSON.stringify(unfolded)),
      ),
    ),
  );
}
