// Drives the machine of the browser's client by the client's steps of the traces; prints what it did otherwise.
//
//     node traces.mjs <simplysocket.js> <traces.json>

import { readFileSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";

const { makeSession } = await import(process.argv[2]);
const traces = JSON.parse(readFileSync(process.argv[3], "utf-8"));
const NOW = 100; // seconds
const wrong = [];
let steps = 0;

function check(is, what) {
  if (!is) throw new Error(what);
}

const does = {
  offer(side) {
    const [first, entry, ...more] = side.offer();
    check(first === "simplysocket.json" && more.length === 0, "the subprotocols");
    return { offer: entry };
  },
  opened(side, { resume }) {
    const opened = side.opened({ client: "k3Jx9QvT", ping: 25, now: 0, resume }, NOW);
    check(opened.outcome === resume.outcome && opened.reason === resume.reason, "the outcome");
    check(side.isOpen && side.token === resume.token && side.pingDue <= NOW, "open, with its token, and a ping is due");
    return { send: opened.send, gone: opened.gone };
  },
  say(side, { text, id }) {
    return { send: side.sending(text, "word", id) ? [text] : [] };
  },
  hear(side, { text, answers }) {
    side.received({ ...(answers === undefined ? { action: text } : { action: "reply", id: answers }), message_body: {} });
  },
  ping: (side) => side.ping(NOW),
  pong: (side, { received }) => side.received({ action: "ping", message_body: { received, now: 0 } }),
  closed: (side, { code }) => ({ again: side.closed(code) }),
  give_up: (side, { id }) => void side.giveUp(id),
};

for (const trace of traces) {
  let side = makeSession();
  for (const [number, step] of trace.steps.entries()) {
    if (!("client" in step)) continue;
    steps += 1;
    let out;
    try {
      if (step.client === "reload") side = makeSession(side.token);
      else out = does[step.client](side, step);
    } catch (error) {
      out = String(error.stack);
    }
    if (isDeepStrictEqual(out, step.out)) continue;
    wrong.push({ trace: trace.script ?? `${trace.plan} ${trace.way}`, number, step, out });
    break;
  }
}
console.log(JSON.stringify({ traces: traces.length, steps, wrong }));
