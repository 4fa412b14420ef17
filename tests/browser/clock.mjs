// The link on a fake clock and fake WebSockets. Run by `node --test`; LIBRARY is the path of simplysocket.js.

import assert from "node:assert/strict";
import { test } from "node:test";

const { connect } = await import(process.env.LIBRARY);

// ---- A clock that the test moves, and WebSockets that it answers.

const START = 1_000_000; // milliseconds
let time = START;
let timers = []; // {at, act, id}
let lastTimer = 0;
globalThis.Date.now = () => time;
globalThis.setTimeout = (act, wait = 0) => {
  timers.push({ at: time + Math.max(wait, 0), act, id: (lastTimer += 1) });
  return lastTimer;
};
globalThis.clearTimeout = (id) => {
  timers = timers.filter((each) => each.id !== id);
};
let randomly = () => 0;
Math.random = () => randomly();

const settle = async () => {
  for (let turn = 0; turn < 20; turn += 1) await null;
};

/** Let time pass, and each timer in it go off in its order. */
async function pass(seconds) {
  const end = time + seconds * 1000;
  for (;;) {
    await settle();
    const next = timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0];
    if (!next) break;
    timers = timers.filter((each) => each !== next);
    time = Math.max(time, next.at);
    next.act();
  }
  time = end;
}

/** Let the machine sleep: timers that were due go off afterwards, at once. */
async function sleepFor(seconds) {
  time += seconds * 1000;
  await pass(0);
}

let made = [];
class FakeSocket {
  readyState = 0;
  sent = [];
  constructor(url, protocols) {
    Object.assign(this, { url, protocols, at: time });
    made.push(this);
  }
  send(text) {
    this.sent.push(JSON.parse(text));
  }
  close(code) {
    this.readyState = 3;
    this.closedWith ??= code ?? "nothing"; // the first one is sent
  }
  // what the server does:
  hear(action, body = {}, more = {}) {
    this.onmessage?.({ data: JSON.stringify({ action, message_body: body, IsTargetClient: true, target: "c", sender: "s", ...more }) });
  }
  welcome(resume = { outcome: "new", token: "t1", received: 0 }, more = {}) {
    this.readyState = 1;
    this.hear("welcome", { client: "c", ping: 25, now: 0, resume, ...more });
  }
  pong(received = 0) {
    this.hear("ping", { received, now: 0 });
  }
  lose(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

async function start(options = {}) {
  [made, timers, randomly] = [[], [], () => 0];
  const socket = connect("http://house/ws", { WebSocket: FakeSocket, ...options });
  const seen = [];
  socket.onState((info) => seen.push(info));
  await settle();
  return { socket, seen };
}

const pings = (webSocket) => webSocket.sent.filter(({ action }) => action === "ping");

// ---- Attempts to connect.

test("the pauses grow from half a second to thirty, with full jitter", async () => {
  for (const [chance, expected] of [
    [0, [0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5]],
    [1, [1, 2, 4, 8, 16, 30, 30, 30]],
    [0.5, [0.75, 1.25, 2.25, 4.25, 8.25, 15.25, 15.25, 15.25]],
  ]) {
    const { seen } = await start();
    randomly = () => chance;
    for (const pause of expected) {
      const { length } = made;
      made.at(-1).lose();
      assert.equal(seen.at(-1).state, "waiting");
      assert.equal(seen.at(-1).at, time + pause * 1000);
      await pass(pause - 0.001);
      assert.equal(made.length, length);
      await pass(0.001);
      assert.equal(made.length, length + 1);
    }
  }
});

test("the pauses begin anew after a connection that was steady, and only then", async () => {
  const { seen } = await start();
  randomly = () => 1;
  const pauseAfter = async (seconds) => {
    made.at(-1).welcome();
    await pass(seconds);
    made.at(-1).lose();
    const pause = (seen.at(-1).at - time) / 1000;
    await pass(pause);
    return pause;
  };
  assert.deepEqual([await pauseAfter(1), await pauseAfter(1), await pauseAfter(1)], [1, 2, 4]);
  assert.deepEqual([await pauseAfter(6), await pauseAfter(1)], [1, 2]);
});

test("a server that does not answer is tried again after ten seconds", async () => {
  const { seen } = await start();
  await pass(9.9);
  assert.equal(made.length, 1);
  await pass(0.2);
  assert.deepEqual([seen.at(-1).state, seen.at(-1).code, made[0].closedWith], ["waiting", 1006, "nothing"]);
  made[0].welcome(); // too late: nobody hears it
  await pass(0.5);
  assert.equal(made.length, 2);
});

test("connect() does not wait, and changes nothing while it is open", async () => {
  const { socket } = await start();
  made[0].lose();
  socket.connect();
  await settle();
  assert.equal(made.length, 2);
  made[1].welcome();
  socket.connect();
  await pass(5);
  assert.equal(made.length, 2);
});

test("each Close says whether to come back", async () => {
  for (const code of [1000, 1001, 1006, 1011, 3000, 3001, 3004, 3008, 3012, 3013, 3499, 4000, 4499]) {
    const { seen } = await start();
    made[0].welcome();
    made[0].lose(code, "why");
    assert.deepEqual([code, seen.at(-1).state, seen.at(-1).code, seen.at(-1).reason], [code, "waiting", code, "why"]);
  }
  for (const code of [1002, 1003, 1007, 1008, 1009, 3005, 3500, 3501, 3503, 3504, 3999, 4500, 4999]) {
    const { seen } = await start();
    made[0].welcome();
    made[0].lose(code, "why");
    assert.deepEqual([code, seen.at(-1).state, seen.at(-1).code], [code, "closed", code]);
    await pass(3600);
    assert.equal(made.length, 1);
  }
});

test("a session that was taken over is taken back once", async () => {
  const { seen } = await start();
  made[0].welcome();
  made[0].lose(3502);
  await pass(1);
  assert.equal(made[1].protocols[1], "simplysocket.resume.t1.0.0");
  made[1].welcome({ outcome: "resumed", token: "t2", received: 0 });
  made[1].lose(3502);
  assert.deepEqual([seen.at(-1).state, seen.at(-1).code], ["closed", 3502]);
});

test("a handler that closes the socket while it connects is obeyed", async () => {
  const { socket, seen } = await start();
  socket.onState(({ state }) => state === "connecting" && socket.close());
  made[0].lose();
  await pass(60);
  assert.deepEqual([socket.state, made.length, seen.at(-1).code], ["closed", 1, 1000]);
});

test("a close before the connection is open leaves nothing behind", async () => {
  const { socket } = await start({ getToken: () => Promise.resolve("ana") });
  const lost = socket.request("word").catch(({ code }) => code);
  const joined = socket.join("hall").catch(({ code }) => code);
  socket.close();
  assert.deepEqual([await lost, await joined], ["gone", "gone"]);
  await pass(60);
  assert.deepEqual([timers.length, made.length], [0, 1]);
});

test("a closed socket that connects again asks for a token again, and begins a new session", async () => {
  const asked = [];
  const { socket } = await start({ getToken: () => asked.push(1) && "ana" });
  made[0].welcome();
  socket.close();
  assert.equal(made[0].closedWith, 1000);
  socket.connect();
  await settle();
  assert.deepEqual([asked.length, made[1].protocols], [2, ["simplysocket.json", "simplysocket.resume", "simplysocket.token.YW5h"]]);
});

test("what is no JSON ends the connection, and the next one goes on", async () => {
  const { seen } = await start();
  made[0].welcome();
  made[0].onmessage({ data: "{" });
  assert.equal(seen.at(-1).state, "waiting");
  await pass(0.6);
  assert.equal(made[1].protocols[1], "simplysocket.resume.t1.0.0");
});

// ---- The life of a connection.

test("it pings at once, each second while something comes, and then after the server's interval", async () => {
  await start();
  made[0].welcome();
  assert.deepEqual(pings(made[0]).length, 1);
  made[0].pong();
  await pass(24.9);
  assert.equal(pings(made[0]).length, 1);
  await pass(0.2);
  assert.equal(pings(made[0]).length, 2);
  made[0].pong();
  made[0].hear("news");
  made[0].hear("news");
  await pass(1.1);
  assert.deepEqual(pings(made[0]).map((each) => each.message_body.received), [0, 0, 2]);
});

test("much that is not acknowledged is asked for, though nothing comes", async () => {
  const { socket } = await start();
  made[0].welcome();
  made[0].pong();
  for (let number = 0; number < 63; number += 1) socket.send("word");
  await pass(1.1);
  assert.equal(pings(made[0]).length, 1);
  for (let number = 0; number < 1; number += 1) socket.send("word");
  await pass(1.1);
  assert.equal(pings(made[0]).length, 2);
});

test("a connection that does not answer a ping is given up, and closed only once the next has taken over", async () => {
  const { socket, seen } = await start();
  made[0].welcome();
  socket.send("word", 1);
  await pass(9.9);
  assert.equal(socket.state, "open");
  await pass(0.2);
  assert.equal(seen.at(-1).state, "waiting");
  await pass(0.5);
  assert.equal(made[0].closedWith, undefined); // a Close would end the session
  assert.equal(made[1].protocols[1], "simplysocket.resume.t1.0.1");
  made[1].welcome({ outcome: "resumed", token: "t2", received: 0 });
  assert.equal(made[0].closedWith, "nothing");
  assert.deepEqual(made[1].sent.map(({ action }) => action), ["word", "ping"]);
});

test("a machine that has slept gives the connection another five seconds", async () => {
  const { socket } = await start();
  made[0].welcome();
  made[0].pong();
  await pass(25);
  await sleepFor(360);
  assert.equal(socket.state, "open");
  await pass(4.9);
  assert.equal(socket.state, "open");
  await pass(0.2);
  assert.equal(socket.state, "waiting");
});

test("six minutes of sleep with an answer cost nothing", async () => {
  const { socket, seen } = await start();
  made[0].welcome();
  made[0].pong();
  await pass(25);
  await sleepFor(360);
  made[0].pong();
  await pass(20);
  assert.deepEqual([socket.state, seen.length, made.length], ["open", 1, 1]);
});

// ---- What is sent.

test("what a server that counts otherwise does not know begins a new session", async () => {
  const { socket, seen } = await start();
  made[0].welcome();
  const lost = socket.request("word").catch(({ code }) => code);
  made[0].lose();
  await pass(1);
  made[1].welcome({ outcome: "resumed", token: "t2", received: 7 });
  assert.equal(await lost, "gone");
  await pass(1);
  assert.equal(made[2].protocols[1], "simplysocket.resume");
  assert.equal(seen.at(-1).state, "connecting");
});

test("a volatile message is sent once, or not at all", async () => {
  const { socket } = await start();
  socket.send("where", 1, { volatile: true });
  made[0].welcome();
  socket.send("where", 2, { volatile: true });
  socket.send("word", 3);
  made[0].lose();
  await pass(0.6);
  made[1].welcome({ outcome: "resumed", token: "t2", received: 0 });
  assert.deepEqual(made[0].sent.map((each) => each.message_body), [{ received: 0 }, 2, 3]);
  assert.deepEqual(made[1].sent.map((each) => each.message_body), [3, { received: 0 }]);
});

test("without a session nothing waits for a connection", async () => {
  const { socket } = await start();
  socket.send("early", 1);
  made[0].welcome(undefined, { resume: undefined });
  assert.equal(made[0].sent[0].message_body, 1);
  const lost = socket.request("word").catch(({ code }) => code);
  made[0].lose();
  assert.equal(await lost, "gone");
  assert.throws(() => socket.send("word"), { code: "gone", name: "SimplySocketError" });
  await pass(1);
  assert.equal(made[1].protocols[1], "simplysocket.resume");
  made[1].welcome(undefined, { resume: undefined });
  socket.send("word", 2);
  assert.deepEqual(made[1].sent.map((each) => each.message_body), [{ received: 0 }, 2]);
});

test("a request that was given up while the line was down is not sent", async () => {
  const { socket } = await start();
  made[0].welcome();
  made[0].lose();
  const late = socket.request("late", 1, { timeout: 0.2 }).catch(({ code }) => code);
  const controller = new AbortController();
  const given = socket.request("given", 2, { signal: controller.signal }).catch(({ name }) => name);
  controller.abort();
  await pass(0.6);
  made[1].welcome({ outcome: "resumed", token: "t2", received: 0 });
  assert.deepEqual([await late, await given], ["timeout", "AbortError"]);
  assert.deepEqual(made[1].sent.map(({ action }) => action), ["ping"]);
});

test("a request that was given up before the first welcome is not sent", async () => {
  const { socket } = await start();
  const late = socket.request("late", 1, { timeout: 0.2 }).catch(({ code }) => code);
  socket.send("word", 2);
  await pass(0.3);
  assert.equal(await late, "timeout");
  made[0].welcome();
  assert.deepEqual(made[0].sent.map(({ action }) => action), ["word", "ping"]);
});

test("an answer to a request of another session is not given", async () => {
  const { socket } = await start();
  let give;
  socket.on("choose", () => new Promise((resolve) => (give = resolve)));
  made[0].welcome();
  made[0].hear("choose", {}, { id: 1 });
  made[0].lose();
  await pass(0.6);
  made[1].welcome({ outcome: "new", token: "t9", received: 0 });
  give("a card");
  await settle();
  assert.deepEqual(made[1].sent.map(({ action }) => action), ["ping"]);
});

// ---- Rooms.

test("a join that is refused for a time is tried again after the time that the server says", async () => {
  const { socket } = await start();
  made[0].welcome();
  const joined = socket.join("hall");
  const joins = () => made[0].sent.filter(({ action }) => action === "join-room");
  for (const [code, retryAfter] of [["busy", 3], ["rate-limited", 0.5]]) {
    const { id } = joins().at(-1);
    made[0].hear("error", { code, message: "later", action: "join-room", retry_after: retryAfter }, { id });
    const { length } = joins();
    await pass(retryAfter - 0.1);
    assert.equal(joins().length, length);
    await pass(0.2);
    assert.equal(joins().length, length + 1);
    made[0].pong();
  }
  made[0].hear("reply", { roomname: "hall", created: true, members: [], total: 0 }, { id: joins().at(-1).id });
  assert.equal((await joined).name, "hall");
});

test("after a gap a room that kept its place is synced, and one that did not is joined again", async () => {
  const { socket } = await start();
  made[0].welcome();
  const syncs = [];
  const closed = [];
  const answer = (webSocket, name, action = "reply", body = { members: [], total: 0 }) => {
    const asked = webSocket.sent.findLast((each) => each.action === "join-room" && each.message_body.roomname === name);
    webSocket.hear(action, body, { id: asked.id });
  };
  for (const name of ["kept", "lost", "full"]) {
    const room = socket.room(name);
    room.onSync((sync) => syncs.push([name, sync]));
    room.onClosed(({ error }) => closed.push([name, error.code]));
    room.join({ seat: 1 });
    answer(made[0], name);
  }
  syncs.length = 0;
  made[0].lose();
  await pass(0.6);
  made[1].welcome({ outcome: "gap", reason: "slow", token: "t2", received: 3, rooms: ["kept"] });
  assert.deepEqual(made[1].sent.filter(({ action }) => action === "join-room").map((each) => each.message_body), [
    { seat: 1, roomname: "kept" },
    { seat: 1, roomname: "lost" },
    { seat: 1, roomname: "full" },
  ]);
  answer(made[1], "kept");
  answer(made[1], "lost");
  answer(made[1], "full", "error", { code: "room-full", message: "it is full", action: "join-room" });
  assert.deepEqual(syncs, [
    ["kept", { first: false, gap: true, rejoined: false }],
    ["lost", { first: false, gap: true, rejoined: true }],
  ]);
  assert.deepEqual(closed, [["full", "room-full"]]);
});

test("a room that is left while the line is down is not joined again", async () => {
  const { socket } = await start();
  made[0].welcome();
  const room = socket.room("hall");
  room.join();
  made[0].hear("reply", { members: [], total: 0 }, { id: made[0].sent.at(-1).id });
  made[0].lose();
  const left = room.leave();
  await pass(0.6);
  made[1].welcome({ outcome: "new", token: "t2", received: 0 });
  await left;
  assert.deepEqual(made[1].sent.map(({ action }) => action), ["ping"]);
});

test("a room that is left while its join is to be tried again is not joined", async () => {
  const { socket } = await start();
  made[0].welcome();
  const room = socket.room("hall");
  const joined = room.join().catch(({ code }) => code);
  const { id } = made[0].sent.at(-1);
  made[0].hear("error", { code: "busy", message: "later", action: "join-room", retry_after: 1 }, { id });
  room.leave();
  made[0].pong();
  await pass(2);
  assert.equal(await joined, "cancelled");
  assert.equal(made[0].sent.filter(({ action }) => action === "join-room").length, 1);
});
