// Correct use of the browser's client: tsc must accept it. Nothing here is run.

import { connect, makeSession, SimplySocketError } from "simplysocket";
import type { Room, Socket, StateInfo } from "simplysocket";

interface Calls {
  "attempt-word": { body: { word: string }; reply: { accepted: boolean } };
  pass: { reply: null };
  typing: { body: undefined };
}

type Events = {
  attempt: { body: { word: string } };
  "choose-card": { body: { cards: number[] }; reply: number };
};

const plain: Socket = connect();
plain.on("anything", (body, { sender }) => body.whatever.length + sender.length);
plain.send("anything", { at: 1 });
plain.send("nothing");
const anything: { x: number } = await plain.request("anything");
console.log(anything.x);
connect("wss://example.org/ws", { name: "Ana", token: "abc" });
connect(new URL("wss://example.org/ws"), { getToken: async () => null });
connect({ name: "Ana", getToken: () => "abc", WebSocket });

const socket = connect<Calls, Events>({ name: "Ana" });
const takeBack: () => void = socket.on("attempt", ({ word }) => console.log(word.toUpperCase()));
takeBack();
socket.on("choose-card", ({ cards }) => cards[0]);
socket.on("choose-card", async ({ cards }) => cards.length);
socket.on("*", (body, { action }) => console.log(action, body));
socket.send("attempt-word", { word: "tree" }, { volatile: true });
socket.send("pass");
socket.send("typing");
socket.send("typing", undefined, { to: "p8Lm2RwZ" });
const { accepted }: { accepted: boolean } = await socket.request("attempt-word", { word: "tree" }, { timeout: 5 });
const nothing: null = await socket.request("pass");
console.log(accepted, nothing);

const room: Room<Calls, Events> = await socket.join("game-7", { level: 3 });
const other = socket.room<{ move: { body: number } }, { moved: { body: number } }>("chess");
other.on("moved", (square) => square.toFixed());
other.send("move", 3);
const { created } = await other.join();
console.log(created, [...room.members.values()].join(), room.total);
room.onSync(({ first, gap, rejoined }) => first || gap || rejoined);
room.onClosed(({ reason, error }) => console.log(reason, error?.code));
await room.leave();

socket.onState(({ state, code, at, outcome, rooms }: StateInfo) => console.log(state, code, at, outcome, rooms?.join()));
socket.name = "Ben";
socket.connect();
socket.close();

try {
  await socket.request("pass", undefined, { signal: AbortSignal.timeout(1000) });
} catch (error) {
  if (error instanceof SimplySocketError) console.log(error.code, error.path, error.retryAfter);
}
throw new SimplySocketError("forbidden", "not now", { path: "$.word", retryAfter: 1 });

makeSession(null).opened({}, 0).send.join();
