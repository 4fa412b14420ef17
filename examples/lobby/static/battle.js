/**
 * The page of the word battle.
 *
 * The server sends `battle` after each change of a room: all that there is to show, so that nothing is counted here.
 * Texts of other people come into the page by `textContent` only.
 */
import { connect } from "/simplysocket.js";

const LINES = 200; // of the chat that the page keeps
const HURRY_SECONDS = 3; // the end of a turn, in which the clock is red
const WARN_SECONDS = 5; // when a screen reader says how many are left
const NEWEST = 14; // words of the chain that are shown in a game

const $ = (id) => document.getElementById(id);
const VERDICTS = new Map([
  ["wrong-letter", "begins with another letter"],
  ["used", "was used before"],
  ["no-word", "is not in the dictionary"],
]);
const CLOSINGS = new Map([
  ["shutdown", "The server is restarting."],
  ["empty", "The room was closed, because nobody was there."],
]);

let socket = null;
let myName = "";
let lobby = null; // the room that everyone is in who has the page open
const rooms = new Map(); // {name: its entry in the list}
let room = null; // the room of the game that we are in
let isPrivate = false; // that room
let code = ""; // of it, if it is private
let game = null; // the newest `battle` of it
let part = "player"; // or "spectator"
let isEntering = false;
let echoes = 0; // attempts whose echo among the chat messages has come
let clock = { end: 0, seconds: 1 }; // of the turn, in the time of performance.now()
let gameEnd = 0;
let ticking = 0;
let saidSeconds = 0; // that a screen reader was told of
let countdown = 0;

// -- making elements

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function named(tag, name) {
  const element = make(tag, "name", name);
  element.dir = "auto";
  return element;
}

function avatar(name, color) {
  const element = make("span", "avatar", [...name.trim()][0]?.toUpperCase() ?? "?");
  if (color) element.style.setProperty("--color", color);
  element.setAttribute("aria-hidden", "true");
  return element;
}

/** Show a word as tiles; a screen reader reads the word. */
function tiles(element, word, { marksLast = false } = {}) {
  element.replaceChildren(...[...word].map((letter, at) => {
    const tile = make("span", "tile", letter);
    tile.style.setProperty("--at", at);
    if (marksLast && at === word.length - 1) tile.classList.add("last");
    tile.setAttribute("aria-hidden", "true");
    return tile;
  }));
  if (!element.hasAttribute("aria-hidden")) element.append(make("span", "unseen", word));
  return element;
}

/** Show a word with its last letter in bold, since that is the one that counts. */
function link(word, color) {
  const element = make("span", "link");
  const text = make("span", "", word.slice(0, -1));
  text.append(make("b", "", word.slice(-1)));
  element.append(text);
  if (color) element.style.setProperty("--color", color);
  return element;
}

// -- telling

/** Tell people who do not see the page; politely, so one after the other. */
function announce(text) {
  $("live").append(make("p", "", text));
  if ($("live").childElementCount > 5) $("live").firstElementChild.remove();
}

/** Show what went wrong until it is dismissed or solved, with a button that does something about it. */
function warn(text, label, act) {
  $("notice").firstElementChild.textContent = text;
  $("act").hidden = !label;
  $("act").textContent = label ?? "";
  $("act").onclick = () => { calm(); act(); };
  $("notice").hidden = false;
}

function calm() {
  $("notice").hidden = true;
}

/** The server writes its messages in lower case, for logs as well: add a capital letter and a full stop. */
function sentence({ code, message }) {
  const text = message || code;
  return text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

/** Show what a request was refused for; what is lost with the connection is shown as that. */
function complain(error) {
  if (error.code !== "gone") warn(sentence(error));
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

// -- views

function show(view) {
  for (const id of ["front", "lobby", "room"]) $(id).hidden = id !== view;
  $("bar").hidden = view === "front";
}

function inAddress() {
  try { return decodeURIComponent(location.hash.slice(1)).trim(); } catch { return ""; }
}

function showAddress(address) {
  history.replaceState(null, "", address ? "#" + encodeURIComponent(address) : location.pathname + location.search);
}

// -- the connection

function start(name) {
  myName = name;
  keep("battle-name", name);
  keep("battle-name", name, "localStorage");
  $("me").textContent = name;
  show("lobby");
  socket = connect({ name });
  socket.onState(seeState);
  socket.on("error", (body) => warn(sentence(body)));
  socket.on("*", () => {}); // what is meant for other pages
  window.battle = { socket, get room() { return room; } }; // for the browser's console
  seeState({ state: socket.state });
  joinLobby();
  const address = inAddress();
  if (address) follow(address, kept("battle-part") ?? "player");
  else $("lobby-title").focus();
}

// What a page that is loaded anew goes on with; another tab only remembers the name.

function keep(key, value, storage = "sessionStorage") {
  try { globalThis[storage].setItem(key, value); } catch { /* storage is off: it is just not remembered */ }
}

function kept(key, storage = "sessionStorage") {
  try { return globalThis[storage].getItem(key); } catch { return null; }
}

function seeState({ state, code, reason, at, outcome }) {
  clearInterval(countdown);
  $("state").dataset.state = state;
  if (state === "connecting") $("state").textContent = "Connecting…";
  if (state === "open") {
    $("state").textContent = "Connected";
    calm();
    if (outcome === "resumed" && room) load(); // what has waited for us tells of times that are over
  }
  if (state === "waiting") {
    $("state").textContent = "Trying again";
    warn("The connection is lost. Your seat is kept, and the page connects again by itself.", "Try now", () => socket.connect());
    if (at) countdown = setInterval(() => {
      const seconds = Math.max(0, Math.round((at - Date.now()) / 1000));
      $("state").textContent = seconds > 1 ? `Trying again in ${seconds} s` : "Trying again";
    }, 1000);
  }
  if (state === "closed") {
    $("state").textContent = "Disconnected";
    warn(`The server ended the connection (${code})${reason ? `: ${reason}` : ""}.`, "Connect again", () => socket.connect());
  }
}

// -- the lobby

function joinLobby() {
  lobby = socket.room("lobby");
  lobby.on("rooms", ({ rooms: list, total }) => { rooms.clear(); listRooms(list, [], total); });
  lobby.on("rooms-changed", ({ added, changed, removed, total }) => listRooms([...added, ...changed], removed, total));
  for (const action of ["client-joined-room", "client-left-room", "members-changed"]) lobby.on(action, showPeople);
  lobby.onSync(showPeople);
  lobby.onClosed(() => lobby.join().catch(complain)); // we were away for too long
  lobby.join().catch(complain);
}

function showPeople() {
  const people = [...lobby.members].sort((a, b) => (b[0] === socket.id) - (a[0] === socket.id) || a[1].localeCompare(b[1]));
  $("people").replaceChildren(...people.map(([id, name]) => {
    const entry = make("li");
    entry.append(avatar(name), named("span", name));
    if (id === socket.id) entry.append(make("small", "", "you"));
    return entry;
  }));
  const more = lobby.total - people.length;
  if (more > 0) $("people").append(make("li", "", `and ${more} more`));
  $("alone").hidden = lobby.total > 1;
}

function listRooms(list, removed, total) {
  for (const each of list) rooms.set(each.roomname, each);
  for (const name of removed) rooms.delete(name);
  const focused = document.activeElement?.closest?.("#rooms li")?.dataset.room;
  const sorted = [...rooms.values()].filter(({ listing }) => listing).sort((a, b) => a.roomname.localeCompare(b.roomname));
  $("rooms").replaceChildren(...sorted.map(roomEntry));
  $("no-rooms").hidden = sorted.length > 0;
  $("more-rooms").hidden = total <= rooms.size;
  $("more-rooms").textContent = `and ${total - rooms.size} more`;
  if (focused !== undefined) [...$("rooms").children].find((each) => each.dataset.room === focused)?.querySelector("button").focus();
}

function roomEntry({ roomname, listing: { host, phase, players, player_limit: limit } }) {
  const entry = make("li");
  entry.dataset.room = roomname;
  const canSit = phase !== "playing" && players < limit;
  const title = isRandom(roomname) ? `${host} and anyone` : host ? `${host}’s room` : roomname;
  const what = make("div", "what");
  what.append(named("span", title), make("small", "", `${phase === "playing" ? "playing" : "waiting"} · ${players} of ${limit} players`));
  const button = make("button", canSit ? "" : "second", canSit ? "Join" : "Watch");
  button.type = "button";
  button.setAttribute("aria-label", `${button.textContent} ${title}`);
  button.onclick = () => enter(roomname, canSit ? "player" : "spectator");
  entry.append(avatar(host || roomname), what, button);
  return entry;
}

// -- coming into a room

const isRandom = (name) => name.startsWith("random-");
const playWithAnyone = () => come("join-or-create", { pattern: "random-*" });
const playWithFriends = () => come("create-private", { pattern: "battle-*" });
const openRoom = () => enter(`battle-${crypto.getRandomValues(new Uint32Array(1))[0].toString(36)}`, "player");

/** Follow a link, or a code that somebody has typed: that of a private room, or the name of a public one. */
function follow(address, as = "player") {
  if (/^(battle|random)-/.test(address)) return enter(address, as);
  return come("join-by-code", { code: address }, as);
}

/** Let the server find or make a room, and enter it. */
async function come(action, body, as = "player") {
  if (isEntering) return;
  isEntering = true;
  try {
    const found = await socket.request(action, { ...body, options: { as } });
    isEntering = false;
    await enter(found.roomname, as, found.code);
  } catch (error) {
    isEntering = false;
    await refuse(error, as, (other) => come(action, body, other));
  }
}

async function enter(name, as, itsCode = "") {
  if (isEntering) return;
  isEntering = true;
  const before = room;
  try {
    const next = roomOf(name);
    part = as;
    code = itsCode;
    isPrivate = itsCode !== "";
    await next.join({ as, hidden: isPrivate });
    keep("battle-part", as);
    if (before && before !== next) before.leave().catch(() => {});
    calm();
  } catch (error) {
    isEntering = false;
    await refuse(error, as, (other) => enter(name, other, itsCode));
  } finally {
    isEntering = false;
  }
}

/** Who cannot play may watch. */
async function refuse(error, as, retry) {
  if (error.code === "gone") return;
  if (error.code === "room-full" && as === "player") {
    await retry("spectator");
    if (part === "spectator" && room) warn(sentence(error));
    return;
  }
  if (room) showAddress(code || room.name);
  else goToLobby();
  warn(sentence(error));
}

const known = new Set();

/** Return a room, with the handlers that this page has for it. */
function roomOf(name) {
  const found = socket.room(name);
  if (known.has(name)) return found;
  known.add(name);
  const on = (action, handler) => found.on(action, (body, message) => { if (room === found) handler(body, message.sender); });
  on("battle", see);
  on("send-message", hear);
  found.onSync(({ rejoined }) => {
    if (rejoined && code) checkCode();
    if (room !== found) {
      room = found;
      game = null;
      $("lines").replaceChildren();
      echoes = 0;
    }
    load();
  });
  found.onClosed(({ reason, error }) => {
    if (room !== found) return;
    goToLobby();
    warn(error ? sentence(error) : CLOSINGS.get(reason) ?? `You are not in the room any more: ${reason}.`);
  });
  return found;
}

/** A server that was started anew knows the code no more; its name leads to the room, too. */
async function checkCode() {
  try {
    await socket.request("join-by-code", { code, options: { as: part } });
  } catch (error) {
    if (error.code !== "unknown-target") return;
    code = "";
    if (game) see(game);
  }
}

/** Say our name if we play, and load all that there is to show. */
async function load() {
  const mine = room;
  try {
    if (part === "player" && !(game && amPlayer())) await mine.request("set-client-name", { setname: myName });
  } catch (error) {
    if (error.code === "room-full") part = "spectator"; // somebody was faster
    complain(error);
  }
  try {
    const picture = await mine.request("follow");
    if (room !== mine) return;
    echoes = picture.attempts.length;
    $("lines").replaceChildren();
    for (const { slug, name, color, text } of picture.chat) addLine(slug, name, color, text);
    see(picture);
  } catch (error) {
    complain(error);
  }
}

async function leave() {
  const left = room;
  goToLobby();
  try {
    await left?.leave();
  } catch (error) {
    complain(error);
  }
}

function goToLobby() {
  room = game = null;
  clearInterval(ticking);
  showAddress("");
  document.title = "Word battle";
  show("lobby");
  $("lobby-title").focus();
}

// -- the room

const isPlaying = (stage) => ["opening", "talk", "turn", "pause", "ending"].includes(stage);
const player = (slug) => game.players.find((each) => each.slug === slug) ?? game.board.find((each) => each.slug === slug);
const nameOf = (slug) => (slug === socket.id ? "You" : player(slug)?.name ?? "Somebody");
const amPlayer = () => game.players.some((each) => each.slug === socket.id);
const amHost = () => game.host === socket.id;

/** Show the state of the room as it is now. */
function see(state) {
  const before = game;
  game = state;
  const isNew = before === null;
  show("room");
  showAddress(code || room.name);
  setClocks();
  showHead();
  showPlayers();
  $("waiting").hidden = game.stage !== "waiting";
  $("game").hidden = !isPlaying(game.stage);
  $("over").hidden = game.stage !== "over";
  if (game.stage === "waiting") showWaiting();
  if (isPlaying(game.stage)) showGame(before);
  if (game.stage === "over") showBoard(before);
  if (isNew) $("talk").open = matchMedia("(min-width: 861px)").matches || game.stage === "waiting";
  moveFocus(before);
  tell(before);
}

function showHead() {
  const host = game.host && player(game.host);
  const title = game.is_random ? "A game with anyone" : amHost() ? "Your room" : host ? `${host.name}’s room` : room.name;
  $("room-title").textContent = title;
  const state = game.turn === socket.id ? "Your turn! " : "";
  document.title = `${state}${title} · Word battle`;
  $("watching").hidden = game.watching === 0;
  $("watching").textContent = amPlayer() ? `${game.watching} watching` : "Watching";
}

function showPlayers() {
  const list = game.players.map((each) => {
    const entry = make("li");
    const who = make("div", "who");
    const notes = [];
    if (each.slug === socket.id) notes.push("you");
    if (each.is_bot) notes.push("bot");
    if (each.slug === game.host && !game.is_random) notes.push("host");
    if (each.is_away) notes.push("away");
    who.append(named("span", each.name));
    if (notes.length) who.append(make("small", "", notes.join(" · ")));
    entry.append(avatar(each.name, each.color), who);
    if (game.stage !== "waiting") {
      const score = make("span", "score", each.score);
      score.append(make("span", "unseen", each.score === 1 ? " point" : " points"));
      entry.append(score);
    }
    entry.classList.toggle("turn", each.slug === game.turn);
    entry.classList.toggle("away", each.is_away);
    if (each.slug === game.turn) entry.setAttribute("aria-current", "true");
    return entry;
  });
  const free = game.player_limit - game.players.length;
  if (free > 0 && game.stage === "waiting") {
    const entry = make("li", "free");
    const plus = make("span", "avatar", "+");
    plus.setAttribute("aria-hidden", "true");
    entry.append(plus, make("span", "", `${plural(free, "free seat")}`));
    list.push(entry);
  }
  $("players").replaceChildren(...list);
}

function showWaiting() {
  $("invite").hidden = game.is_random;
  $("invite-hint").textContent = code ? "Friends come in with this code, or with the link:"
    : isPrivate ? "Friends come in with the link:" : "Whoever is in the lobby can join. Friends can use the link:";
  $("invite-code").hidden = !code;
  if ($("invite-code").dataset.code !== code) showCode();
  $("share").hidden = !navigator.share;
  $("looking").hidden = !game.is_random;
  $("settings").hidden = !amHost() || game.is_random;
  $("limit").value = game.player_limit;
  $("duration").value = game.game_duration;
  showSettings();
  $("rules").hidden = !$("settings").hidden;
  $("rules").textContent = `A game takes ${game.game_duration} seconds.`;
  $("start").hidden = !amHost() || game.is_random;
  $("start").disabled = game.players.length < 2;
  $("bot").hidden = !amHost() || game.players.length >= game.player_limit;
  $("bot").textContent = game.is_random ? "Play with a bot instead" : "Let a bot play, too";
  const host = player(game.host)?.name;
  $("wait-hint").textContent = !amPlayer() ? "You are watching. The game has not begun."
    : game.is_random ? ""
    : !amHost() ? `${host ?? "The host"} starts the game when everybody is here.`
    : game.players.length < 2 ? "It takes two to play." : "";
}

/** Show the code in groups, which is how it is read aloud. */
function showCode() {
  $("invite-code").dataset.code = code;
  $("invite-code").replaceChildren(...code.split("-").map((group) => {
    const word = make("span", "word");
    word.setAttribute("aria-hidden", "true");
    return tiles(word, group);
  }), make("span", "unseen", code));
}

function showSettings() {
  $("limit-is").textContent = $("limit").value;
  $("duration-is").textContent = `${$("duration").value} s`;
  $("duration").setAttribute("aria-valuetext", `${$("duration").value} seconds`);
}

function showGame(before) {
  const isMine = game.turn === socket.id;
  const last = game.attempts.at(-1);
  $("game").classList.toggle("mine", isMine);
  $("letter").textContent = game.letter;
  if (before?.attempts.length !== game.attempts.length || before?.stage !== game.stage) showBefore(last);
  $("whose").textContent = !amPlayer() && game.turn ? `${nameOf(game.turn)} has the turn`
    : isMine ? `Your turn: a word with ${game.letter.toUpperCase()}`
    : game.turn ? `${nameOf(game.turn)} is thinking…`
    : ["opening", "talk"].includes(game.stage) ? "Get ready" : game.stage === "ending" ? "That was it!" : "\u00a0";
  $("attempt").hidden = !amPlayer();
  $("word").readOnly = !isMine;
  $("word").placeholder = isMine ? `${game.letter.toUpperCase()}…` : ["opening", "talk"].includes(game.stage) ? "It starts in a moment" : "Wait for your turn";
  $("attempt").querySelector("button").disabled = !isMine;
  if (isMine && before?.turn !== game.turn) $("word").value = "";
  if (!isMine && before?.turn === socket.id) $("word").value = "";
  $("chain").replaceChildren(...game.attempts.filter((each) => each.verdict === "good").slice(-NEWEST).map(chainEntry));
}

/** Show the last word and what became of it. */
function showBefore(last) {
  const box = $("before");
  if (!last) {
    box.replaceChildren(make("span", "", `The first word begins with ${(game.letter || "w").toUpperCase()}.`));
    return;
  }
  const isGood = last.verdict === "good";
  const who = make("span");
  who.append(named("span", nameOf(last.slug)), ": ", make("span", isGood ? "good" : "bad", isGood ? "+1 point" : fault(last)));
  box.replaceChildren(...(isGood ? [tiles(make("span", "word"), last.word, { marksLast: true })] : []), who);
}

/** Say why an attempt did not count. */
function fault({ word, verdict }) {
  return verdict === "too-late" ? "time is up" : `“${word}” ${VERDICTS.get(verdict) ?? verdict}`;
}

function showBoard(before) {
  if (before?.stage === "over" && before.board.length === game.board.length && before.players.length === game.players.length && before.host === game.host) return;
  const best = game.board[0]?.score ?? 0;
  const winners = game.board.filter((each) => each.score === best && best > 0);
  $("winner").textContent = winners.length === 0 ? "Nobody has scored" : winners.length > 1 ? "It is a draw!" : winners[0].slug === socket.id ? "You have won!" : `${winners[0].name} has won!`;
  let place = 0;
  $("board").replaceChildren(...game.board.map((each, at) => {
    if (at === 0 || each.score < game.board[at - 1].score) place = at + 1;
    const entry = make("li", place === 1 && best > 0 ? "first" : "");
    const score = make("span", "score", each.score);
    score.append(make("span", "unseen", each.score === 1 ? " point" : " points"));
    entry.append(make("span", "place", `${place}.`), avatar(each.name, each.color), named("span", each.slug === socket.id ? `${each.name} (you)` : each.name), score);
    return entry;
  }));
  const canStart = amPlayer() && (amHost() || game.is_random);
  $("again").hidden = !canStart || game.players.length < 2;
  $("sit").hidden = amPlayer() || game.players.length >= game.player_limit;
  $("again-hint").textContent = canStart && game.players.length < 2 ? "The others have left." : amPlayer() && !canStart ? `${player(game.host)?.name ?? "The host"} can start the next game.` : "";
  const good = game.attempts.filter((each) => each.verdict === "good");
  $("words-title").textContent = good.length ? plural(good.length, "word") : "";
  $("words").replaceChildren(...good.map(chainEntry));
}

function chainEntry({ word, slug }) {
  const entry = make("li");
  entry.append(link(word, player(slug)?.color));
  return entry;
}

/** Put the focus where the next thing is done, unless somebody is writing a chat message. */
function moveFocus(before) {
  if (before?.stage === game.stage && before?.turn === game.turn) return;
  const active = document.activeElement;
  if (active === $("text") && $("text").value) return;
  if (game.turn === socket.id) $("word").focus({ preventScroll: false });
  else if (game.stage === "over" && before?.stage !== "over") $("winner").focus();
  else if (isPlaying(game.stage) && !isPlaying(before?.stage) && amPlayer()) $("word").focus();
  else if (before === null) $("room-title").focus();
}

/** Tell of a turn, of what was said and of the end, for those who do not see it. */
function tell(before) {
  const last = game.attempts.at(-1);
  if (before && last && game.attempts.length > before.attempts.length) {
    announce(`${nameOf(last.slug)}: ${last.verdict === "good" ? `${last.word}, one point` : fault(last)}.`);
  }
  if (before?.stage !== game.stage && game.stage === "opening") announce("The game begins.");
  if (game.turn && before?.turn !== game.turn) {
    saidSeconds = 0;
    const letter = game.letter.toUpperCase();
    announce(game.turn === socket.id ? `Your turn. A word with ${letter}. ${Math.round(game.seconds_left)} seconds.` : `${nameOf(game.turn)}’s turn, with ${letter}.`);
  }
  if (before && before.stage !== "over" && game.stage === "over") announce(`The game is over. ${$("winner").textContent}`);
}

// -- clocks

function setClocks() {
  const now = performance.now();
  clearInterval(ticking);
  clock = { end: now + (game.seconds_left ?? 0) * 1000, seconds: game.seconds || 1, isOn: game.seconds_left !== null && ["talk", "turn"].includes(game.stage) };
  gameEnd = now + (game.game_seconds_left ?? 0) * 1000;
  if (!isPlaying(game.stage)) return;
  tick();
  ticking = setInterval(tick, 100);
}

function tick() {
  const now = performance.now();
  const left = clock.isOn ? Math.max(0, (clock.end - now) / 1000) : 0;
  const seconds = Math.ceil(left);
  $("clock").style.setProperty("--part", left / clock.seconds);
  $("seconds").hidden = !clock.isOn;
  if ($("seconds").textContent !== String(seconds)) $("seconds").textContent = seconds;
  $("game").classList.toggle("hurry", game.stage === "turn" && seconds <= HURRY_SECONDS);
  const gameSeconds = Math.max(0, (gameEnd - now) / 1000);
  $("time").style.setProperty("--part", gameSeconds / game.game_duration);
  $("time-left").textContent = `${Math.ceil(gameSeconds)} s left`;
  if (game.turn === socket.id && seconds === WARN_SECONDS && saidSeconds !== seconds) {
    saidSeconds = seconds;
    announce(`${seconds} seconds left.`);
  }
}

// -- the chat

/** Show what a player has said. An attempt comes as a message, too, after the state that has it: leave that out. */
function hear({ message, color }, sender) {
  if (!game || sender === "bot-of-the-room") return;
  const last = game.attempts.at(-1);
  if (last && game.attempts.length > echoes && last.slug === sender && last.word === message.trim().toLowerCase()) {
    echoes = game.attempts.length;
    return;
  }
  addLine(sender, player(sender)?.name ?? room.members.get(sender) ?? "Spectator", color, message);
  if (!$("talk").open && sender !== socket.id) {
    $("unread").hidden = false;
    $("unread").textContent = Number($("unread").textContent || 0) + 1;
  }
}

function addLine(slug, name, color, text) {
  const entry = make("li");
  const who = named("span", slug === socket.id ? "You" : name);
  who.style.setProperty("--color", color);
  entry.append(who, make("span", "text", text));
  entry.lastElementChild.dir = "auto";
  $("lines").append(entry);
  while ($("lines").childElementCount > LINES) $("lines").firstElementChild.remove();
  $("log").scrollTop = 0; // it runs in reverse, so this is its end
}

// -- what the user does

$("enter").onsubmit = (event) => {
  event.preventDefault();
  const name = $("name").value.trim();
  if (name) start(name);
};
$("home").onclick = leave;
$("leave").onclick = leave;
$("to-lobby").onclick = leave;
$("anyone").onclick = playWithAnyone;
$("friends").onclick = playWithFriends;
$("open").onclick = openRoom;
$("dismiss").onclick = calm;
$("with-code").onsubmit = (event) => {
  event.preventDefault();
  const typed = $("code").value.trim();
  if (typed) follow(typed);
};

async function ask(action, body) {
  try {
    await room.request(action, body);
    calm();
  } catch (error) {
    complain(error);
  }
}

function applySettings() {
  ask("room-settings", { game_duration: $("duration").value, player_limit: $("limit").value });
}

for (const id of ["limit", "duration"]) {
  $(id).oninput = showSettings;
  $(id).onchange = applySettings;
}
$("settings").onsubmit = (event) => event.preventDefault();
$("start").onclick = () => ask("start-the-game", { message: room.name });
$("again").onclick = () => ask("start-the-game", { message: room.name });
$("bot").onclick = () => ask("add-bot");
$("sit").onclick = async () => {
  await ask("take-seat");
  part = "player";
  keep("battle-part", part);
  load();
};

$("copy").onclick = async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    $("copy").textContent = "Copied";
    announce("The link is copied.");
    setTimeout(() => ($("copy").textContent = "Copy the link"), 2000);
  } catch {
    warn(`The browser does not let this page copy. The link is ${location.href}`);
  }
};
$("share").onclick = () => navigator.share({ title: "Word battle", text: "Play with me", url: location.href }).catch(() => {});

$("attempt").onsubmit = async (event) => {
  event.preventDefault();
  const word = $("word").value.trim();
  if (!word || game?.turn !== socket.id) return;
  $("word").focus();
  try {
    await room.request("attempt-word", { message: word }); // the box is emptied when the turn is over
    calm();
  } catch (error) {
    if (error.code === "forbidden") warn("Your word came too late."); // it waited for the connection
    else complain(error);
  }
};

$("say").onsubmit = async (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  if (!text || !room) return;
  $("text").value = "";
  try {
    await room.request("send-message", { message: text });
  } catch (error) {
    if (!$("text").value) $("text").value = text;
    complain(error);
  }
};
$("talk").ontoggle = () => {
  if (!$("talk").open) return;
  $("unread").hidden = true;
  $("unread").textContent = "";
};

addEventListener("hashchange", () => {
  const address = inAddress();
  if (address && socket && address !== (code || room?.name)) follow(address);
});

// -- the beginning

for (const word of document.querySelectorAll("h1 [data-word]")) tiles(word, word.dataset.word);
tiles(document.querySelector(".empty .tiles"), "zzz");
tiles(document.querySelector("#looking .tiles"), "who?");
$("chain-example").append(...["water", "river", "rabbit", "tiger"].map((word) => link(word)));
const invitation = inAddress();
$("invited").hidden = !invitation;
$("invited").textContent = isRandom(invitation) || invitation.startsWith("battle-") ? "You are invited to a game." : `You are invited to ${invitation}.`;
$("name").value = kept("battle-name", "localStorage") ?? "";
if (kept("battle-name")) start(kept("battle-name")); // a page that was loaded anew goes on where it was
