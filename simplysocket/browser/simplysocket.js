/**
 * simplysocket: the client of a simplysocket server, for pages and for Node.
 *
 *     import { connect } from "/simplysocket.js";
 *
 *     const socket = connect({ name: "Ana" });
 *     const room = await socket.join("game-7");
 *     room.on("attempt", ({ word }) => console.log(word));
 *     await room.request("attempt-word", { word: "tree" });
 *
 * Laws:
 * - `Session` has no I/O and no clock. It passes the same traces as the machine of the server's test kit.
 * - A message is counted before a handler sees it, and a handler that throws stops no other.
 * - Nothing that comes from the server is merged into an object, and its words are keys of Maps only.
 * - Of a connection that was given up nothing is heard any more.
 *
 * All times are in seconds, as on the server; only `at` is a time of `Date.now()`.
 */

const SUBPROTOCOL = "simplysocket.json";
const REQUEST_SECONDS = 30; // the timeout of a request: as long as a server keeps a session by default
const CONNECT_SECONDS = 10; // until `welcome` has come
const ANSWER_SECONDS = 10; // until something has come after a ping
const CHECK_SECONDS = 5; // the same when the page is shown again, or the network has changed
const SLEPT_SECONDS = 2; // a timer that is later than this has slept with the machine
const SHORTEST_PAUSE = 0.5; // before another attempt to connect
const LONGEST_PAUSE = 30;
const STEADY_SECONDS = 5; // after a connection that lasted so long the pauses begin anew
const LOCK_SECONDS = 1; // a page that is loaded anew waits so long for the one before it
const PING_SECONDS = 1; // between two pings at least
const MOST_KEPT = 64; // messages that are not acknowledged: with more, a ping asks for it
const MOST_QUEUED = 256; // messages that wait for a connection
const MOST_QUEUED_BYTES = 256 * 1024;
const MOST_WARNINGS = 100; // one for each action
const LONGEST_TIMER = 2e9; // milliseconds; a little less than what a timer can hold

const TAKEN = 3502; // another connection has the session
const EXPIRED = 3005;
const REFUSED = 3500;
const FINAL_CODES = [1002, 1003, 1007, 1008, 1009]; // the standard codes after which a client stays away
const HELD_CODES = [3004, EXPIRED, 3008, 3012, REFUSED, TAKEN]; // after these the server has kept the session
const GLOBAL = "mesh-global"; // the room that every client is in
const JOINED = "client-joined-room";
const LEFT = "client-left-room";
const CHANGED = "members-changed";
const CLOSED = "room-closed";
const KNOWN = [JOINED, LEFT, CHANGED, CLOSED, "server-stopping"]; // a page need not have handlers for these

const now = () => Date.now() / 1000;
const isAnswer = (action) => action === "reply" || action === "error";
const roomIn = (message) => (message.IsTargetClient ? message.room : message.target);
const isRetried = (error) => ["busy", "rate-limited"].includes(error?.code);
const complain = (error) => console.error("simplysocket: a handler failed:", error);

/** What the server has refused, or what could not be sent. `code` is for programs, `message` for people. */
export class SimplySocketError extends Error {
  constructor(code, message, { path, retryAfter } = {}) {
    super(message || code);
    this.name = "SimplySocketError";
    this.code = code;
    this.path = path; // the place in the body that is wrong, such as "$.word"
    this.retryAfter = retryAfter; // seconds after which it makes sense to try again
  }
}

function readError(body) {
  const { code = "internal", message, path, retry_after: retryAfter } = body ?? {};
  return new SimplySocketError(code, message, { path, retryAfter });
}

// ---- The session: one client over its connections (docs/protocol.md, "Coming back"), as a machine.

/**
 * Make a session: what to offer, what to count, and what to send again. The time is an argument, in seconds.
 *
 * `token` is that of a page that was loaded anew: its session goes on with a gap.
 */
export function makeSession(token = null) {
  let isOpen = false; // a `welcome` was read, and the connection has not ended
  let heard = token === null ? 0 : null; // messages of the server; null: the count was lost with the page
  let sent = 0;
  let kept = []; // {text, id, isVolatile}; the last of them has the number `sent`
  let waiting = []; // not sent yet, so without a number
  const requests = new Map(); // {id of a request that waits for its answer: whether it was sent}
  const pings = new Set(); // ids of pings that the page has sent as requests: their answers do not count
  let wasTaken = false; // closed with 3502 since the server was last known to hear this client
  let interval = Infinity; // seconds between two pings while nothing comes
  let pinged = Infinity; // when
  let hasNew = false; // something came since then

  function lose() {
    isOpen = false;
    pings.clear();
  }

  function allSent() {
    for (const id of requests.keys()) requests.set(id, true);
  }

  /** Forget what the server has; false if it cannot have it. */
  function acknowledge(received) {
    const missing = sent - received;
    if (!Number.isInteger(received) || missing < 0 || missing > kept.length) return false;
    kept.splice(0, kept.length - missing);
    return true;
  }

  return {
    /** The newest; null before the first `welcome`, and if the server keeps no sessions. */
    get token() {
      return token;
    },
    get isOpen() {
      return isOpen;
    },
    /** When the next ping is due; Infinity without a connection. */
    get pingDue() {
      return isOpen ? pinged + (hasNew ? PING_SECONDS : interval) : Infinity;
    },

    /** Return the subprotocols to ask for. What comes on an older connection counts no more. */
    offer() {
      lose();
      return [SUBPROTOCOL, "simplysocket.resume" + (token ? `.${token}.${heard ?? "-"}.${sent}` : "")];
    },

    /**
     * Read the body of `welcome`. `send` are the texts to send now, in this order; they are counted. `gone` are the
     * ids of the requests to which no answer will come. Throws if the server has counted what was never sent.
     */
    opened(welcome, time) {
      const resume = welcome.resume ?? { outcome: "new", token: null };
      const { outcome, reason, received } = resume;
      if (outcome === "new") {
        if (token) {
          kept = waiting = []; // what belonged to the session before is given up
          allSent();
        }
        heard = sent = 0;
      } else {
        if (heard === null) heard = 0;
        else if (!acknowledge(received)) throw new Error("miscounted");
        sent = received;
      }
      const gone = outcome === "resumed" ? [] : [...requests.keys()].filter((id) => requests.get(id));
      for (const id of gone) requests.delete(id);
      const isWanted = ({ id, isVolatile }) => !isVolatile && (!id || requests.has(id));
      const again = [...kept, ...waiting].filter(isWanted);
      allSent();
      token = resume.token;
      waiting = [];
      kept = token ? again : [];
      sent += again.length;
      isOpen = hasNew = true; // a ping is due at once: it tells the server that the token was read
      interval = welcome.ping || Infinity;
      pinged = time - PING_SECONDS;
      return { outcome, reason, send: again.map((each) => each.text), gone };
    },

    /** Note that the connection has ended, by a Close with this code or without one; tell whether to come back. */
    closed(code) {
      lose();
      if (code !== TAKEN) return !FINAL_CODES.includes(code) && !(code >= 3500 && code < 5000 && code % 1000 >= 500);
      const isFirst = !wasTaken; // a late attempt of its own may have taken the session
      wasTaken = true;
      return isFirst;
    },

    /** Count and keep a message; tell whether to send it now. If not, `opened` returns it later. */
    sending(text, action, id, isVolatile) {
      if (action === "ping") {
        if (isOpen && id) pings.add(id);
        return isOpen;
      }
      if (id) requests.set(id, isOpen);
      const message = { text, id, isVolatile };
      if (!isOpen) {
        waiting.push(message);
      } else if (token) {
        kept.push(message);
        sent += 1;
        hasNew ||= kept.length >= MOST_KEPT;
      }
      return isOpen;
    },

    /** Forget a request whose caller waits no longer: it is not sent again. Tell whether it was sent. */
    giveUp(id) {
      const wasSent = requests.get(id);
      requests.delete(id);
      return wasSent;
    },

    /** Count a message of the server, before it is handed on. */
    received({ action, id, message_body: body }) {
      let isPong = action === "ping" || (action === "error" && body?.action === "ping");
      if (isAnswer(action) && id !== undefined) {
        isPong ||= pings.has(id);
        pings.delete(id);
        requests.delete(id);
      }
      if (isPong) {
        wasTaken = false;
        acknowledge(body?.received);
      } else if (action !== "welcome") {
        heard += 1;
        hasNew = true;
      }
    },

    /** Return the body of a ping, which acknowledges what has come. */
    ping(time) {
      pinged = time;
      hasNew = false;
      return { received: heard };
    },
  };
}

// ---- Handlers: functions by the word that they are for.

function makeHandlers() {
  const lists = new Map(); // {word: [{handler}]}; a list is never changed, so that it can be walked through
  const of = (word) => lists.get(word) ?? [];
  return {
    of,
    /** Add a handler; return a function that takes it back. */
    add(word, handler) {
      if (typeof handler !== "function") throw new TypeError("a handler is a function");
      const entry = { handler }; // the same function may be added twice
      lists.set(word, [...of(word), entry]);
      return () => void lists.set(word, of(word).filter((each) => each !== entry));
    },
    /** Call the handlers of a word. What they throw is shown in the console. */
    call(word, ...values) {
      for (const { handler } of of(word)) {
        try {
          handler(...values)?.catch?.(complain);
        } catch (error) {
          complain(error);
        }
      }
    },
  };
}

// ---- The place of the token while a page is loaded anew.

const takenKeys = new Set();

/**
 * The token is in the tab's sessionStorage only while its page is hidden or left. A tab that is copied has a copy of
 * that storage: the lock, where the browser has locks, shows it that the page which holds the session still lives.
 */
function makePlace(url) {
  let key;
  let lock;
  for (let number = 0; !key || takenKeys.has(key); number += 1) key = `simplysocket ${number} ${url}`;
  takenKeys.add(key);

  function attempt(use) {
    try {
      return use(sessionStorage);
    } catch {} // the browser lets this page store nothing
  }

  /** Hold a lock for as long as the page lives; false if another page holds it. */
  function hold(name) {
    lock = name;
    return new Promise((resolve) => {
      const signal = AbortSignal.timeout(LOCK_SECONDS * 1000);
      const held = () => new Promise(() => resolve(true));
      if (!navigator.locks) resolve(true);
      else navigator.locks.request(name, { signal }, held).catch((error) => resolve(error.name !== "TimeoutError"));
    });
  }

  const clear = () => attempt((storage) => storage.removeItem(key));

  return {
    clear,
    /** Take the token out of the storage; undefined if there is none, or another page holds its session. */
    async claim() {
      const [token, name] = attempt((storage) => [...JSON.parse(storage.getItem(key))]) ?? [];
      clear();
      if (token && (await hold(name))) return token;
      hold(`simplysocket ${Math.random()}`);
    },
    put(token) {
      if (token) attempt((storage) => storage.setItem(key, JSON.stringify([token, lock])));
    },
    free() {
      clear();
      takenKeys.delete(key);
    },
  };
}

// ---- The link: the session's connections, one after the other.

/**
 * Make the link of a socket, not connected yet. It tells its `owner` by `changed` of each state, by `opened` and
 * `lost` of what becomes of the session, by `received` of each message, and lets it `renew` a token.
 */
function makeLink(address, { name, token, getToken, WebSocket = globalThis.WebSocket }, owner) {
  const link = {
    state: "connecting", // then open, waiting, closed
    id: "", // of this client
    name,
    post,
    giveUp,
    /** Connect now. */
    connect() {
      if (!watch) listen();
      open();
    },
    /** End the session. */
    close() {
      if (link.state === "closed") return;
      current?.close(1000);
      finish(1000, "closed here");
    },
  };
  const { document, navigator } = globalThis;
  const place = document && makePlace(address);
  const isHidden = () => document?.visibilityState === "hidden";
  let isClaimed = !place;
  let session = makeSession();
  let early = []; // what is sent before the first `welcome` of this page; then undefined
  let queued = 0; // messages that wait for a connection
  let queuedBytes = 0;
  let isHeld = true; // the server keeps the session while the connection is away
  let current = null; // the WebSocket
  let givenUp = []; // WebSockets to close once the next one has taken over: their Close would end the session
  let attempts = 0;
  let failures = 0;
  let openedAt = Infinity;
  let hasAskedAgain = false; // for another token, since the last `welcome`
  let answerDue = Infinity;
  let hasSlept = false;
  let beatAt = Infinity;
  let timer; // until `welcome`, until the next beat, or until the next attempt
  let renewal;
  let watch = null; // takes back the listeners to the page's events

  /** Send a message, or keep it until there is a connection. */
  function post(text, action, id, isVolatile) {
    if (!session.isOpen) {
      if (isVolatile) return;
      if (link.state === "closed" || !isHeld) throw new SimplySocketError("gone", "there is no connection");
      const bytes = queuedBytes + new TextEncoder().encode(text).length;
      if (queued >= MOST_QUEUED || bytes > MOST_QUEUED_BYTES) {
        throw new SimplySocketError("busy", "too much waits");
      }
      queued += 1;
      queuedBytes = bytes;
      if (early) return void early.push({ text, action, id });
    }
    if (session.sending(text, action, id, isVolatile)) current.send(text);
    if (session.pingDue < beatAt) arm();
  }

  /** Forget a request; tell whether it was sent. */
  function giveUp(id) {
    early = early?.filter((each) => each.id !== id);
    return session.giveUp(id);
  }

  // -- connecting

  async function open() {
    const attempt = (attempts += 1);
    drop();
    change({ state: "connecting" });
    try {
      if (!isClaimed) {
        const found = await place.claim();
        if (attempt !== attempts) return;
        isClaimed = true;
        session = makeSession(found);
      }
      if (token === undefined && getToken) {
        const found = await getToken();
        if (attempt !== attempts) return;
        token = found;
      }
    } catch (error) {
      if (attempt === attempts) ended({ code: 1006, reason: `getToken failed: ${error}` });
      return;
    }
    if (attempt !== attempts) return; // a handler of "connecting" has closed it
    if (token === null) return finish(REFUSED, "there is no token");
    const url = new URL(address);
    if (link.name) url.searchParams.set("name", link.name);
    const protocols = session.offer();
    if (token) protocols.push(`simplysocket.token.${base64url(token)}`);
    try {
      current = new WebSocket(url.href, protocols);
    } catch (error) {
      return finish(1006, error.message); // the page may not connect there
    }
    current.onmessage = receive;
    current.onclose = ended;
    current.onerror = () => {}; // `onclose` follows
    timer = setTimeout(fail, CONNECT_SECONDS * 1000);
  }

  function welcomed(welcome) {
    let opened;
    try {
      opened = session.opened(welcome, now());
    } catch {
      session = makeSession(); // the server's counts are not those of this session
      owner.lost();
      return fail();
    }
    const first = early ?? [];
    early = undefined;
    queued = queuedBytes = 0;
    isHeld = Boolean(session.token);
    hasAskedAgain = false;
    openedAt = now();
    link.id = welcome.client;
    for (const text of opened.send) current.send(text);
    for (const { text, action, id } of first) post(text, action, id);
    closeGivenUp();
    beat();
    planRenewal(welcome.expires_in);
    if (isHidden()) place.put(session.token);
    owner.opened(opened, welcome);
    change({ state: "open", outcome: opened.outcome, reason: opened.reason, rooms: welcome.resume?.rooms });
  }

  function receive({ data }) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return fail();
    }
    answerDue = Infinity;
    hasSlept = false;
    if (session.isOpen) {
      session.received(message);
      if (session.pingDue < beatAt) arm();
      if (message.action !== "ping") owner.received(message);
    } else if (message.action === "welcome") {
      welcomed(message.message_body);
    }
  }

  // -- while it is open

  /** Ping when it is due, and end a connection that does not answer. */
  function beat() {
    const time = now();
    if (time >= answerDue) {
      if (hasSlept || time < answerDue + SLEPT_SECONDS) return fail();
      hasSlept = true; // the answer may wait behind this timer
      answerDue = Infinity;
      ping(CHECK_SECONDS);
    } else {
      if (time >= session.pingDue) ping(ANSWER_SECONDS);
      arm();
    }
  }

  function arm() {
    clearTimeout(timer);
    beatAt = Math.min(session.pingDue, answerDue);
    if (beatAt < Infinity) timer = setTimeout(beat, Math.min(Math.ceil((beatAt - now()) * 1000), LONGEST_TIMER));
  }

  function ping(seconds) {
    answerDue = Math.min(answerDue, now() + seconds);
    current.send(encode("ping", session.ping(now())));
    arm();
  }

  /** Get another token before this one expires, if the page can. */
  function planRenewal(expiresIn) {
    clearTimeout(renewal);
    if (!getToken || !expiresIn) return;
    const renew = async () => {
      try {
        const found = await getToken();
        if (!found) return; // the connection ends when its token expires
        token = found;
        planRenewal((await owner.renew(token)).expires_in);
      } catch {} // the same: then the token is asked for once more
    };
    renewal = setTimeout(renew, Math.min(expiresIn * 800, LONGEST_TIMER)); // after four fifths of its time
  }

  // -- when it has ended

  function fail() {
    ended({ code: 1006, reason: "the server does not answer" });
  }

  function ended({ code, reason }) {
    drop();
    if (now() - openedAt >= STEADY_SECONDS) failures = 0;
    openedAt = Infinity;
    const mayComeBack = session.closed(code);
    if (code === 1000 || (code >= 3000 && !HELD_CODES.includes(code))) isHeld = false;
    if (!isHeld) owner.lost();
    if (code === EXPIRED || code === REFUSED) {
      if (!getToken || hasAskedAgain) return finish(code, reason);
      hasAskedAgain = true;
      token = undefined;
    } else if (!mayComeBack) {
      return finish(code, reason);
    }
    if (navigator?.onLine === false) return change({ state: "waiting", code, reason, at: null });
    const most = Math.min(LONGEST_PAUSE, SHORTEST_PAUSE * 2 ** (failures + 1));
    // Random, so that a crowd does not come back at once.
    const pause = 1000 * (SHORTEST_PAUSE + Math.random() * (most - SHORTEST_PAUSE));
    failures += 1;
    timer = setTimeout(open, pause);
    change({ state: "waiting", code, reason, at: Date.now() + pause });
  }

  /** Stay away, until `connect`. */
  function finish(code, reason) {
    attempts += 1;
    drop();
    watch?.abort();
    watch = null;
    place?.free();
    link.state = "closed"; // before the callers hear of it
    session = makeSession();
    early = [];
    queued = queuedBytes = 0;
    isHeld = true;
    hasAskedAgain = false;
    failures = 0;
    if (getToken) token = undefined;
    closeGivenUp();
    owner.lost();
    change({ state: "closed", code, reason });
  }

  function drop() {
    clearTimeout(timer);
    clearTimeout(renewal);
    answerDue = beatAt = Infinity;
    hasSlept = false;
    if (!current) return;
    current.onmessage = current.onclose = null;
    if (current.readyState === 1) givenUp.push(current);
    else current.close();
    current = null;
  }

  function closeGivenUp() {
    for (const each of givenUp) each.close();
    givenUp = [];
  }

  function change(info) {
    link.state = info.state;
    owner.changed(info);
  }

  // -- the page

  function listen() {
    watch = new AbortController();
    if (!place) return;
    const on = (target, event, handler) => target.addEventListener(event, handler, { signal: watch.signal });
    const left = () => place.put(session.token);
    const shown = () => {
      place.clear();
      wake();
    };
    on(globalThis, "online", wake);
    on(globalThis, "offline", wake);
    on(globalThis, "pagehide", left);
    on(globalThis, "pageshow", shown);
    on(document, "visibilitychange", () => (isHidden() ? left() : shown()));
  }

  /** See at once whether the connection lives, or make one. */
  function wake() {
    if (session.isOpen) ping(CHECK_SECONDS);
    else if (link.state === "waiting") open();
  }

  return link;
}

function encode(action, body, { target, to, id, timeout } = {}) {
  return JSON.stringify({ action, message_body: body, IsTargetClient: to && true, target: to ?? target, id, timeout });
}

function base64url(text) {
  const bytes = String.fromCharCode(...new TextEncoder().encode(text));
  return btoa(bytes).replace(/[+/=]/g, (character) => ({ "+": "-", "/": "_" })[character] ?? "");
}

// ---- Rooms.

/**
 * Make a room. `room` is what the page gets; the rest is for its socket, which hands on the room's messages by `take`,
 * tells it by `opened` that there is a connection, and lends it `ask`, `request`, `send`, `handle` and its `link`.
 */
function makeRoom(name, socket) {
  const handlers = makeHandlers();
  const events = makeHandlers(); // "sync", "closed"
  const members = new Map();
  let total = 0;
  let options;
  let isWanted = false; // the page has joined, and has not left
  let isEntering = false; // a join is under way, or is to be tried again soon
  let isIn = false;
  let wasIn = false; // and `onSync` was called for it
  let isBehind = false; // messages of the room were missed since then
  let attempt = 0;
  let retry;
  let joins = []; // {resolve, reject} of the page's own joins
  let held = null; // what comes before the caller of `socket.join` or `socket.enter` has run

  function enter() {
    const mine = (attempt += 1);
    isEntering = true;
    clearTimeout(retry);
    const done = (error, body, isLost) => {
      if (mine !== attempt) return;
      if (isLost && socket.link.state !== "closed") isEntering = false; // `opened` tries again
      else if (isRetried(error)) retry = setTimeout(enter, (error.retryAfter ?? 1) * 1000);
      else if (error) refuse(error, isLost);
      else entered(body);
    };
    try {
      socket.ask("join-room", { ...options, roomname: name }, {}, done);
    } catch (error) {
      done(error, null, error instanceof SimplySocketError); // it could not be sent now
    }
  }

  function entered(body) {
    const sync = { first: !wasIn, gap: isBehind, rejoined: wasIn && !isIn };
    isEntering = isBehind = false;
    isIn = wasIn = true;
    members.clear();
    for (const each of body?.members ?? []) members.set(each.client, each.name);
    total = body?.total ?? members.size;
    for (const { resolve } of joins.splice(0)) resolve(body);
    inOrder(() => events.call("sync", sync));
  }

  function refuse(error, isLost) {
    const wasRejoin = wasIn;
    if (isLost && wasIn) isEntering = false; // the socket is closed: if it connects again, the room is joined again
    else forget();
    for (const { reject } of joins.splice(0)) reject(error);
    if (wasRejoin && !isLost) events.call("closed", { reason: error.message, error });
  }

  /** Do it now, or after what is held. */
  function inOrder(act) {
    if (held) held.push(act);
    else act();
  }

  function forget() {
    attempt += 1;
    clearTimeout(retry);
    isWanted = isEntering = isIn = wasIn = isBehind = false;
    members.clear();
    total = 0;
  }

  function add({ client, name }) {
    if (!members.has(client)) total += 1;
    members.set(client, name);
  }

  function remove({ client }) {
    if (members.delete(client)) total -= 1;
  }

  function handle(message) {
    const { action, message_body: body } = message;
    let end = null; // the reason for which this client is not in the room any more
    if (action === JOINED) add(body);
    else if (action === CHANGED) {
      body.joined.forEach(add);
      body.left.forEach(remove);
      total = body.total;
    } else if (action === LEFT && body.client !== socket.link.id) remove(body);
    else if (action === LEFT || action === CLOSED) end = body.reason;
    const isOver = end !== null && isWanted;
    if (isOver && action === CLOSED && end === "shutdown") isIn = false; // joined again once the server is back
    else if (isOver) forget();
    socket.handle(message, handlers);
    if (isOver && !isWanted) events.call("closed", { reason: end });
  }

  /** Hand on what is held, once the caller has run. */
  const release = () =>
    setTimeout(() => {
      const list = held ?? [];
      held = null;
      for (const each of list) each();
    }, 0);

  const room = {
    name,
    members, // {client id: name}; of a large room only some
    get total() {
      return total;
    },
    on: handlers.add,
    onSync: (handler) => events.add("sync", handler),
    onClosed: (handler) => events.add("closed", handler),
    send: (action, body, how) => socket.send(action, body, { ...how, target: name }),
    request: (action, body, how) => socket.request(action, body, { ...how, target: name }),
    join(given) {
      return new Promise((resolve, reject) => {
        if (socket.link.state === "closed") throw new SimplySocketError("gone", "it is closed");
        joins.push({ resolve, reject });
        options = given;
        isWanted = true;
        enter();
      });
    },
    async leave() {
      forget();
      for (const { reject } of joins.splice(0)) reject(new SimplySocketError("cancelled", "the room was left"));
      try {
        await socket.request("leave-room", { roomname: name }, {});
      } catch (error) {
        if (!["gone", "unknown-target", "not-a-member"].includes(error.code)) throw error; // it was left anyway
      }
    },
  };

  return {
    room,
    take: (message) => inOrder(() => handle(message)),
    /** Join, and hold back what comes until the caller has run. */
    async join(options) {
      held ??= [];
      try {
        await room.join(options);
        return room;
      } finally {
        release();
      }
    },
    /** Note that the server has put this client into the room; `before` is what came of it before this answer. */
    enter(answer, given, before) {
      held ??= before.map((each) => () => handle(each));
      options = given;
      room.code = answer.code;
      isWanted = true;
      entered(answer);
      release();
      return room;
    },
    opened(outcome, listed) {
      if (outcome !== "resumed") {
        isBehind = wasIn;
        isIn = isIn && outcome === "gap" && Boolean(listed?.includes(name));
      }
      if (isWanted && !isEntering && !(isIn && outcome === "resumed")) enter();
    },
  };
}

// ---- The socket.

/** Connect to a server: to `/ws` of the page's own, or to `url`. See simplysocket.d.ts for all of it. */
export function connect(url, options) {
  if (url?.constructor === Object) [url, options] = [undefined, url]; // the options alone
  const address = new URL(url ?? "/ws", globalThis.location?.href);
  address.protocol = address.protocol.replace("http", "ws"); // https: wss:

  const handlers = makeHandlers();
  const states = makeHandlers();
  const rooms = new Map(); // {name: what makeRoom returns}
  let entering = 0; // calls of `enter` that wait for their answers
  let strays = []; // messages of unknown rooms meanwhile: of the one that is entered, it may be
  const requests = new Map(); // {id: done(error, body, isLost)}
  const warned = new Set();
  const ids = Math.random().toString(36).slice(2, 10); // ids never recur in a session, also after a reload
  let lastId = 0;
  let life = 0; // counts the times after which no request of before is answered any more

  const link = makeLink(address, options ?? {}, {
    opened({ outcome, gone }, welcome) {
      if (outcome !== "resumed") life += 1;
      gone.forEach(lose);
      for (const each of rooms.values()) each.opened(outcome, welcome.resume?.rooms);
    },
    received,
    changed: (info) => states.call("", info),
    lost() {
      life += 1;
      for (const id of [...requests.keys()]) {
        link.giveUp(id);
        lose(id);
      }
    },
    renew: (token) => request("renew", { token }),
  });

  // -- sending

  function send(action, body, { volatile, target, to } = {}) {
    link.post(encode(action, body, { target, to }), action, undefined, volatile);
  }

  /** Send a request. `done(error, body, isLost)` is called once. */
  function ask(action, body, how, done) {
    const id = `${ids}-${(lastId += 1)}`;
    const text = encode(action, body, { ...how, id });
    requests.set(id, done);
    try {
      link.post(text, action, id);
    } catch (error) {
      requests.delete(id);
      throw error;
    }
    return id;
  }

  function end(id, ...values) {
    const done = requests.get(id);
    requests.delete(id);
    done?.(...values);
  }

  function lose(id) {
    end(id, new SimplySocketError("gone", "the answer is lost"), null, true);
  }

  function request(action, body, { timeout = REQUEST_SECONDS, signal, target, to } = {}) {
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted();
      let timer;
      const id = ask(action, body, { target, to, timeout }, (error, reply) => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", cancel);
        if (error) reject(error);
        else resolve(reply);
      });
      const giveUp = (error) => {
        const wasSent = link.giveUp(id);
        end(id, error);
        return wasSent;
      };
      const cancel = () => {
        if (giveUp(signal.reason)) post(encode("cancel", {}, { id }), "cancel");
      };
      const late = () => giveUp(new SimplySocketError("timeout", `no answer within ${timeout} s`));
      if (timeout * 1000 <= LONGEST_TIMER) timer = setTimeout(late, timeout * 1000);
      signal?.addEventListener("abort", cancel);
    });
  }

  /** Send what nobody misses if it cannot be sent. */
  function post(text, action) {
    try {
      link.post(text, action);
    } catch {}
  }

  // -- receiving

  function received(message) {
    const { action, id, message_body: body } = message;
    if (id !== undefined && isAnswer(action)) {
      handlers.call("*", body, message);
      end(id, action === "error" ? readError(body) : null, body);
      return;
    }
    const name = roomIn(message);
    if (rooms.has(name)) rooms.get(name).take(message);
    else if (entering && name && name !== GLOBAL) strays.push(message);
    else handle(message, NOBODY);
  }

  function handle(message, ofRoom) {
    const { action, id, message_body: body } = message;
    ofRoom.call("*", body, message);
    handlers.call("*", body, message);
    if (id !== undefined) return void answer(message, [...ofRoom.of(action), ...handlers.of(action)]);
    ofRoom.call(action, body, message);
    handlers.call(action, body, message);
    if (![action, "*"].some((word) => ofRoom.of(word).length || handlers.of(word).length)) warn(action, body);
  }

  /** Say once what was lost for want of a handler. */
  function warn(action, body) {
    const what = action === "error" ? `refused ${body?.action}: ${body?.code}` : `no handler for ${action}`;
    if (KNOWN.includes(action) || warned.has(what) || warned.size >= MOST_WARNINGS) return;
    warned.add(what);
    console.warn(`simplysocket: ${what}`, body);
  }

  /** Answer a request of the server with what the first handler returns that returns something. */
  async function answer({ action, id, message_body: body }, found, message) {
    const mine = life;
    let text;
    try {
      if (!found.length) throw new SimplySocketError("unknown-action", "no handler");
      const values = await Promise.all(found.map(async ({ handler }) => handler(body, message)));
      text = encode("reply", values.find((value) => value !== undefined) ?? null, { id });
    } catch (error) {
      if (!(error instanceof SimplySocketError)) {
        complain(error); // only the page's own console says more
        error = new SimplySocketError("internal", "the handler failed");
      }
      const { code, message: said, path, retryAfter } = error;
      text = encode("error", { code, message: said, action, path, retry_after: retryAfter }, { id });
    }
    if (mine === life) post(text, "reply"); // otherwise nobody waits for it any more
  }

  // -- what the page sees

  const inner = { ask, request, send, handle, link };

  function roomOf(name) {
    if (!rooms.has(name)) rooms.set(name, makeRoom(name, inner));
    return rooms.get(name);
  }

  /** Let the server choose the room, by an action such as `join-or-create`. */
  async function enter(action, body = {}, how) {
    entering += 1;
    try {
      const answer = await request(action, body, how);
      const before = strays.filter((message) => roomIn(message) === answer.roomname);
      strays = strays.filter((message) => !before.includes(message));
      return roomOf(answer.roomname).enter(answer, body.options, before);
    } finally {
      if (!(entering -= 1)) for (const message of strays.splice(0)) handle(message, NOBODY);
    }
  }

  link.connect();
  return {
    get state() {
      return link.state;
    },
    get id() {
      return link.id;
    },
    get name() {
      return link.name;
    },
    set name(name) {
      link.name = name; // from the next connection on
    },
    on: handlers.add,
    onState: (handler) => states.add("", handler),
    send,
    request,
    room: (name) => roomOf(name).room,
    join: (name, options) => roomOf(name).join(options),
    enter,
    connect() {
      if (["waiting", "closed"].includes(link.state)) link.connect();
    },
    close: link.close,
  };
}

const NOBODY = makeHandlers();
