/* What the execution came to, in the product's own terms, where its states were told an outcome. */

const OUTCOME_LOOKS = { Completed: "succeeded", DryRun: "succeeded", NothingToInvalidate: "succeeded", NoDistribution: "succeeded", Abandoned: "caught" };
const outcomeLook = (outcome) => OUTCOME_LOOKS[outcome] ?? "failed";
const inWords = (name) => name.replace(/([a-z])([A-Z])/g, (_, end, start) => `${end} ${start.toLowerCase()}`);
const dollars = (amount, digits = 3) => `$${amount.toFixed(digits)}`;

/* The address was made from an ARN that has the form of one: nothing else in the file decides where it leads. */
function consoleLink(text) {
  const { console: address } = run.summary;
  return address && el("a", { class: "link", href: address, target: "_blank", rel: "noopener noreferrer" }, text);
}

function summaryFacts() {
  const { batch, transitions: steps, dollars: cost } = run.summary;
  const waited = waitedFor();
  const wildcards = batch?.wildcards ? ` (${many(batch.wildcards, "wildcard")})` : "";
  return [
    batch && [
      fact("Outcome", el("span", { class: `badge ${outcomeLook(batch.outcome)}` }, glyph(outcomeLook(batch.outcome)), inWords(batch.outcome))),
      fact(
        "Batch",
        el("code", {}, batch.batchId),
        copyButton(() => batch.batchId, "batch id"),
      ),
      fact("Changes", [many(batch.changes, batch.bucket ? "key" : "path"), batch.bucket && `of ${batch.bucket}`].filter(Boolean).join(" ")),
      fact("Invalidated", batch.paths ? `${many(batch.paths, "path")}${wildcards}` : "nothing was sent"),
      batch.price !== null && fact("Price", `at most ${dollars(batch.price)}`, el("small", {}, " as if the month’s 1,000 free paths were used up")),
    ],
    fact("Transitions", steps.toLocaleString("en"), el("small", {}, ` about ${dollars(cost, 5)} of Step Functions`)),
    waited > 0 && fact("Waiting", duration(waited), el("small", {}, ` of ${duration(runEnd - run.start)}: nothing else went on meanwhile`)),
  ];
}

/* For how long a Wait state was all that the execution was in. */
function waitedFor() {
  const edges = run.visits
    .filter((visit) => visit.type === "Wait" || WORKING.has(visit.type))
    .flatMap((visit) => [
      { at: visit.start, type: visit.type, by: 1 },
      { at: visit.start + lasted(visit), type: visit.type, by: -1 },
    ])
    .sort((one, other) => one.at - other.at);
  let [waits, works, since, sum] = [0, 0, 0, 0];
  for (const { at, type, by } of edges) {
    if (waits > 0 && works === 0) sum += at - since;
    since = at;
    if (type === "Wait") waits += by;
    else works += by;
  }
  return sum;
}
const WORKING = new Set(["Task"]);

function distributionTable() {
  const { batch } = run.summary;
  if (!batch || !batch.distributions.length) return null;
  const cell = (each) => [
    el("td", {}, el("code", {}, each.id)),
    el("td", {}, glyph(each.error ? "failed" : "succeeded"), " ", each.state.toLowerCase(), each.error && el("p", {}, `${each.error}: ${each.message}`)),
    el("td", {}, many(each.paths, "path")),
    el("td", {}, each.invalidations.length ? each.invalidations.map((id) => el("code", {}, id, " ")) : "—"),
  ];
  return el(
    "section",
    { class: "attempts" },
    el("h3", {}, `Distributions (${batch.distributions.length + batch.omitted})`),
    el(
      "div",
      { class: "wide" },
      el(
        "table",
        {},
        el("thead", {}, el("tr", {}, ["Distribution", "State", "Paths", "Invalidation"].map((name) => el("th", { scope: "col" }, name)))),
        el("tbody", {}, batch.distributions.map((each) => el("tr", {}, cell(each)))),
      ),
    ),
    batch.omitted > 0 && el("p", { class: "quiet" }, `and ${batch.omitted} more`),
  );
}
