/* JSON for people: coloured, with what differs from another value marked, cut where it is too long to look at. */

const MOST_LINES = 400;

function parsed(text) {
  if (text === undefined || text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return String(text);
  }
}

const isObject = (value) => value !== null && typeof value === "object";

/* Lines of [indent, pieces, changed], pieces being [class, text]. `NOTHING` as `other` marks nothing. */
const NOTHING = Symbol("nothing to compare with");

function lines(value, other, indent, before, after, into) {
  if (!isObject(value) || Object.keys(value).length === 0) {
    const empty = Array.isArray(value) ? "[]" : "{}";
    const kind = isObject(value) ? "punctuation" : value === null ? "null" : typeof value;
    const text = isObject(value) ? empty : JSON.stringify(value);
    const changed = other !== NOTHING && (isObject(value) ? JSON.stringify(other) !== empty : other !== value);
    into.push([indent, [...before, [kind, text], ["punctuation", after]], changed]);
    return;
  }
  const array = Array.isArray(value);
  const comparable = isObject(other) && Array.isArray(other) === array;
  const changed = other !== NOTHING && !comparable;
  into.push([indent, [...before, ["punctuation", array ? "[" : "{"]], changed]);
  const entries = Object.entries(value);
  entries.forEach(([key, item], position) => {
    const name = array
      ? []
      : [
          ["key", JSON.stringify(key)],
          ["punctuation", ": "],
        ];
    const match = other === NOTHING ? NOTHING : comparable && Object.hasOwn(other, key) ? other[key] : undefined;
    lines(item, match, indent + 1, name, position < entries.length - 1 ? "," : "", into);
  });
  into.push([indent, [["punctuation", (array ? "]" : "}") + after]], changed]);
}

function payload(label, text, compareWith = NOTHING, open = true) {
  const value = parsed(text);
  if (value === undefined) return null;
  const all = [];
  lines(value, compareWith, 0, [], "", all);
  const code = el("code", {});
  const write = (from, to) => code.append(...all.slice(from, to).map(line));
  write(0, MOST_LINES);
  const more =
    all.length > MOST_LINES &&
    el(
      "button",
      {
        type: "button",
        class: "more",
        onclick: () => {
          write(MOST_LINES);
          more.remove();
        },
      },
      `Show all ${all.length.toLocaleString("en")} lines`,
    );
  const marked = all.some(([, , changed]) => changed);
  return el(
    "details",
    { class: "payload", open },
    el(
      "summary",
      {},
      el("span", {}, label),
      marked && el("small", { class: "changed-key" }, "marked: not in the input"),
      copyButton(() => (isObject(value) ? JSON.stringify(value, null, 2) : String(value)), label),
    ),
    el("pre", { tabindex: "0", "aria-label": label }, code),
    more,
  );
}

function line([indent, pieces, changed]) {
  return el(
    "span",
    { class: changed ? "line changed" : "line" },
    "  ".repeat(indent),
    pieces.map(([kind, text]) => el("span", { class: kind }, text)),
  );
}

function copyButton(text, label) {
  const button = el("button", { type: "button", class: "copy", "aria-label": `Copy ${label.toLowerCase()}` }, "Copy");
  button.addEventListener("click", async (event) => {
    event.preventDefault();
    try {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed here";
    }
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  });
  return button;
}

/* An error's cause: Lambda's is JSON with a message and a stack trace (perhaps cut short on its way), others are
   plain text. */
const CUT_SHORT = /^\{\s*"errorMessage":\s*("(?:[^"\\]|\\.)*")/;

function messageOf(value) {
  if (isObject(value))
    return typeof value.errorMessage === "string" ? value.errorMessage : JSON.stringify(value, null, 2);
  const cut = CUT_SHORT.exec(value);
  return cut ? parsed(cut[1]) : value;
}

function causeOf(error, cause) {
  const value = parsed(cause || undefined);
  const trace = isObject(value) && Array.isArray(value.stackTrace) ? value.stackTrace : [];
  return el(
    "div",
    { class: "error", role: "group", "aria-label": "Error" },
    el("strong", {}, error || "Error"),
    value !== undefined && el("p", {}, messageOf(value)),
    trace.length > 0 &&
      el("details", {}, el("summary", {}, "Stack trace"), el("pre", { tabindex: "0" }, trace.join("\n"))),
  );
}
