// Mistakes in the use of the browser's client: tsc must report each marked line, and no other. Nothing here is run.

import { connect } from "simplysocket";

interface Calls {
  "attempt-word": { body: { word: string }; reply: { accepted: boolean } };
  pass: { reply: null };
}

type Events = {
  attempt: { body: { word: string } };
  "choose-card": { body: { cards: number[] }; reply: number };
};

const socket = connect<Calls, Events>();
socket.send("atempt-word", { word: "tree" }); // E: an action that there is not
socket.send("attempt-word", { wrod: "tree" }); // E: a body of another shape
socket.send("attempt-word"); // E: no body
socket.send("pass", { word: "tree" }); // E: a body where there is none
socket.on("attempted", () => {}); // E: an action that the server does not send
socket.on("attempt", ({ letters }) => letters); // E: a key that the body does not have
socket.on("choose-card", () => "ace"); // E: a reply of another type
socket.on("choose-card", async () => "ace"); // E: the same, later
const reply = await socket.request("attempt-word", { word: "tree" });
reply.refused; // E: a key that the reply does not have
socket.request("pass", undefined, { timeout: "5 s" }); // E: a time that is no number
socket.send("pass", undefined, { volatil: true }); // E: an option that there is not
socket.state = "open"; // E: only to be read
connect({ nme: "Ana" }); // E: an option that there is not
connect({ getToken: () => 7 }); // E: a token that is no text
const room = socket.room("game-7");
room.members.set("a", "b"); // E: only to be read
room.onSync(({ missed }) => missed); // E: a key that there is not
await room.join("level 3"); // E: options that are no object
connect<{ word: string }>(); // E: no map of actions
