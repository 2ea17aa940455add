/* The run, and the questions that the views ask of it. State names are a stranger's words:
   they are keys of Maps only. */

const run = JSON.parse(byId("run").textContent);
const eventById = new Map(run.events.map((event) => [event.id, event]));
const states = new Map(); // name -> {state, container, machine}
const bodies = new Map(); // name -> its part of the definition
const unrecorded = new Set(run.unrecorded);
const chosen = new Map(); // Map state -> number of the iteration to look at; absent: all of them

function addStates(machine, container) {
  for (const state of machine.states) {
    states.set(state.name, { state, container, machine });
    for (const inner of state.machines) addStates(inner, state.name);
  }
}

function addBodies(definition) {
  for (const [name, body] of Object.entries(definition.States ?? {})) {
    bodies.set(name, body);
    for (const inner of [body.ItemProcessor, body.Iterator, ...(body.Branches ?? [])]) if (inner) addBodies(inner);
  }
}

addStates(run.flow, null);
addBodies(run.definition);

/* The iterations that a visit happened in, innermost first. */
function iterationsAround(visit) {
  const around = [];
  let number = visit.iteration;
  while (number !== null) {
    around.push(run.iterations[number]);
    number = run.visits[run.iterations[number].visit].iteration;
  }
  return around;
}

function inScope(visit) {
  const around = iterationsAround(visit);
  return around.every((iteration) => {
    const wanted = chosen.get(run.visits[iteration.visit].state);
    return wanted === undefined || wanted === iteration.number;
  });
}

const visitsByState = Map.groupBy
  ? Map.groupBy(run.visits, (visit) => visit.state)
  : grouped(run.visits, (visit) => visit.state);

function grouped(values, key) {
  const groups = new Map();
  for (const value of values) {
    if (!groups.has(key(value))) groups.set(key(value), []);
    groups.get(key(value)).push(value);
  }
  return groups;
}

const visitsOf = (name) => (visitsByState.get(name) ?? []).filter(inScope);

const worst = (statuses) => WORST_FIRST.find((status) => statuses.includes(status));

function statusOf(name) {
  return worst(visitsOf(name).map((visit) => visit.status)) ?? (unrecorded.has(name) ? "unrecorded" : "unreached");
}

/* The iterations of a Map that can be chosen: where it is inside another Map, those of the outer
   iteration that is chosen. */
function iterationsOf(name) {
  return run.iterations.filter((iteration) => {
    const visit = run.visits[iteration.visit];
    return visit.state === name && inScope(visit);
  });
}

/* The distribution that an iteration works on: as a state inside says, or the item itself. */
const distributions = new Map();
for (const visit of run.visits)
  if (visit.iteration !== null && visit.distribution_id) distributions.set(visit.iteration, visit.distribution_id);
for (const iteration of run.iterations) {
  const item = iteration.input === null ? undefined : parsed(iteration.input);
  if (typeof item?.distributionId === "string") distributions.set(iteration.number, item.distributionId);
}

const iterationName = (iteration) => distributions.get(iteration.number) ?? `#${iteration.index}`;

/* Names of iterations that stand side by side: by distribution or index, and where that is not enough, by visit and
   try. */
function iterationNames(siblings) {
  const visits = [...new Set(siblings.map((each) => each.visit))];
  const again = new Set(siblings.filter((each) => each.attempt > 1).map((each) => each.visit));
  return new Map(
    siblings.map((each) => [
      each,
      [
        iterationName(each),
        visits.length > 1 && `visit ${visits.indexOf(each.visit) + 1}`,
        again.has(each.visit) && `try ${each.attempt}`,
      ]
        .filter(Boolean)
        .join(" · "),
    ]),
  );
}

const iterationLabel = (visit) =>
  iterationsAround(visit)
    .reverse()
    .map(iterationName)
    .join(" ");

const runEnd = run.end ?? Math.max(run.start, ...run.events.slice(-1).map((event) => event.time));
const lasted = (visit) => (visit.end ?? runEnd) - visit.start;

/* How often each transition was taken, among the visits in scope: "source\u0000target\u0000catch|next" -> count. */
function transitions() {
  const counts = new Map();
  for (const visit of run.visits) {
    if (visit.next === null || !inScope(visit)) continue;
    const key = [visit.state, visit.next, visit.status === "caught" ? "catch" : "next"].join("\u0000");
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

const detailOf = (id, field) => (id === null ? undefined : eventById.get(id)?.details[field]);
