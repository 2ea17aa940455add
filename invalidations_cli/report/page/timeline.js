/* One row for each state (and iteration, while they are few), one bar for each visit; failed attempts show inside. */

const ITERATION_ROWS = 6;

function drawTimeline() {
  const rows = timelineRows();
  const length = Math.max(1, runEnd - run.start);
  const at = (time) => `${(100 * (time - run.start)) / length}%`;
  const axis = el(
    "div",
    { class: "axis", "aria-hidden": "true" },
    el(
      "span",
      { class: "speed" },
      ["working", "waiting"].map((speed) => el("span", {}, el("i", { class: speed }), speed)),
    ),
    el(
      "div",
      { class: "track" },
      ticks(length).map((tick) => {
        const mark = el("span", { class: "tick" }, tick === 0 ? "0" : duration(tick));
        mark.style.left = `${(100 * tick) / length}%`;
        return mark;
      }),
    ),
  );
  fill(
    byId("timeline"),
    axis,
    el(
      "ol",
      { class: "rows" },
      rows.flatMap((row, index) => [
        row.label && row.label !== rows[index - 1]?.label && iterationRow(row),
        timelineRow(row, at),
      ]),
    ),
  );
}

function timelineRows() {
  const detailed = new Map(
    [...states]
      .filter(([, { state }]) => state.type === "Map")
      .map(([name]) => [name, iterationsOf(name).length <= ITERATION_ROWS]),
  );
  const key = (visit) => {
    const around = iterationsAround(visit).filter((iteration) => detailed.get(run.visits[iteration.visit].state));
    return [visit.state, ...around.map((iteration) => iteration.number)].join("\u0000");
  };
  const rows = [...grouped(run.visits.filter(inScope), key).values()].map((visits) => ({
    visits,
    name: visits[0].state,
    depth: iterationsAround(visits[0]).length,
    order: [...iterationsAround(visits[0])].reverse(),
    label: key(visits[0]).includes("\u0000") ? iterationLabel(visits[0]) : "",
  }));
  return rows.sort(byIterationThenTime);
}

function byIterationThenTime(one, other) {
  const together = Math.min(one.order.length, other.order.length);
  for (let depth = 0; depth < together; depth += 1) {
    const [mine, theirs] = [one.order[depth], other.order[depth]];
    if (mine.number !== theirs.number && one.label && other.label)
      return mine.start - theirs.start || mine.number - theirs.number;
  }
  return one.visits[0].start - other.visits[0].start || one.visits[0].number - other.visits[0].number;
}

/* What the rows below are of: an iteration, by its distribution where it has one. */
function iterationRow({ label, depth }) {
  const title = el("span", { class: "row-name tag" }, label);
  title.style.paddingInlineStart = `${depth * 14}px`;
  return el("li", { class: "group" }, title);
}

function timelineRow({ visits, name, depth, label }, at) {
  const title = el("span", { class: "row-name", title: [label, name].filter(Boolean).join(" ") }, name);
  title.style.paddingInlineStart = `${(label ? depth + 1 : depth) * 14}px`;
  return el(
    "li",
    { "data-state": name },
    title,
    el(
      "div",
      { class: "track" },
      visits.map((visit) => bar(visit, at)),
    ),
  );
}

function bar(visit, at) {
  const text = [
    visit.state,
    iterationLabel(visit),
    STATUSES[visit.status].text,
    duration(lasted(visit)),
    `at +${duration(visit.start - run.start)}`,
  ]
    .filter(Boolean)
    .join(", ");
  const element = el("button", {
    type: "button",
    class: `span ${visit.status}${visit.type === "Wait" ? " waiting" : ""}`,
    "data-visit": visit.number,
    "aria-label": text,
    title: text,
    onclick: () => selectVisit(visit),
  });
  element.style.left = `min(${at(visit.start)}, 100% - 5px)`;
  element.style.width = at(run.start + lasted(visit));
  if (visit.attempts.length > 1) for (const attempt of visit.attempts) element.append(segment(visit, attempt));
  return element;
}

function segment(visit, attempt) {
  const length = Math.max(1, lasted(visit));
  const element = el("i", { class: attempt.outcome });
  element.style.left = `${(100 * (attempt.start - visit.start)) / length}%`;
  element.style.width = `${(100 * ((attempt.end ?? visit.end ?? runEnd) - attempt.start)) / length}%`;
  return element;
}

function ticks(length) {
  const rough = length / 6;
  const magnitude = 10 ** Math.floor(Math.log10(rough));
  const nice = [1, 2, 5, 10].map((factor) => factor * magnitude);
  const minutes = [
    15_000, 30_000, 60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 86_400_000,
    604_800_000,
  ];
  const step = (length > 60_000 ? minutes : nice).find((each) => each >= rough) ?? rough;
  return Array.from({ length: Math.floor(length / step) + 1 }, (_, index) => index * step).filter(
    (tick) => tick <= length * 0.93,
  );
}
