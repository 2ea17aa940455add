// Runs test cases of a state machine on aws-local-stepfunctions, and prints what became of each as JSON.
// Standard input: {"package": file of the interpreter, "definition": …, "cases": {name: {state: mocked responses}}}.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

// The interpreter asks for Node 22; of what that has, this is all that it uses beyond Node 20.
Promise.withResolvers ??= function () {
  const made = {};
  made.promise = new this((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
};

const { package: file, definition, cases } = JSON.parse(readFileSync(0, "utf8"));
const { StateMachine } = await import(pathToFileURL(file));

function statesIn(machine) {
  return Object.entries(machine.States).flatMap(([name, state]) => [
    [name, state],
    ...(state.ItemProcessor ?? state.Iterator ? statesIn(state.ItemProcessor ?? state.Iterator) : []),
  ]);
}

function responder(responses, tries, payloads, name) {
  const each = [];
  for (const [numbers, response] of Object.entries(responses)) {
    const [first, last] = numbers.split("-").map(Number);
    for (let number = first; number <= (last ?? first); number++) each[number] = response;
  }
  return async (input) => {
    const response = each[tries[name] ?? 0];
    tries[name] = (tries[name] ?? 0) + 1;
    (payloads[name] ??= []).push(input);
    if (response === undefined) throw new Error(`${name} has no mocked response left`);
    if (response.Throw === undefined) return response.Return;
    throw Object.assign(new Error(response.Throw.Cause), { name: response.Throw.Error });
  };
}

async function run(name, responses) {
  const all = statesIn(definition);
  const named = (type) => all.filter(([, state]) => state.Type === type).map(([state]) => state);
  const [entered, tries, payloads] = [[], {}, {}];
  const handlers = named("Task").map((state) => [state, responder(responses[state] ?? {}, tries, payloads, state)]);
  const arn = `arn:aws:states:us-east-1:123456789012:execution:invalidation:${name}`;
  const execution = new StateMachine(definition, { validationOptions: { noValidate: true } }).run({}, {
    overrides: {
      taskResourceLocalHandlers: Object.fromEntries(handlers),
      waitTimeOverrides: Object.fromEntries(named("Wait").map((state) => [state, 0])),
      retryIntervalOverrides: Object.fromEntries(named("Task").map((state) => [state, 0])),
    },
    context: {
      Execution: { Id: arn, Name: name, StartTime: new Date().toISOString(), Input: {} },
      StateMachine: { Id: "arn:aws:states:us-east-1:123456789012:stateMachine:invalidation", Name: "invalidation" },
    },
  });
  const reading = (async () => {
    for await (const event of execution.eventLogs) {
      if (event.type === "StateEntered") entered.push(event.state.name);
    }
  })();
  const ended = await execution.result.then(
    (output) => ({ status: "SUCCEEDED", output, error: "", cause: "" }),
    (failed) => ({ status: "FAILED", error: (failed.getWrappedError ?? failed).name ?? "", raw: failed }),
  );
  await reading;
  if (ended.raw !== undefined) {
    const wrapped = ended.raw.getWrappedError ?? ended.raw.cause ?? ended.raw;
    Object.assign(ended, { error: wrapped.name, cause: wrapped.cause ?? wrapped.message, raw: undefined });
  }
  return { ...ended, entered, tries, payloads };
}

const found = {};
for (const [name, responses] of Object.entries(cases)) found[name] = await run(name, responses);
process.stdout.write(JSON.stringify(found));
