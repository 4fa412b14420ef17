/**
 * The types of simplysocket.js. All times are in seconds, as on the server.
 *
 * What is sent and received can be typed by two maps of actions, written by hand or made from the server's handlers:
 *
 *     type Calls = { "attempt-word": { body: { word: string }; reply: { accepted: boolean } } };
 *     type Events = { attempt: { body: { word: string } }; "choose-card": { body: { cards: number[] }; reply: { card: number } } };
 *     const socket = connect<Calls, Events>();
 */

/** What an action carries. Without `reply` nothing is answered. */
export interface Action {
  body?: unknown;
  reply?: unknown;
}

/** A map of actions by their names. */
export type Actions<M> = { [Name in keyof M]: Action };

/** The map that allows everything. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any JSON value
export type AnyActions = { [action: string]: { body: any; reply: any } };

type Name<M> = keyof M & string;
type Body<M, N extends keyof M> = M[N] extends { body: infer B } ? B : undefined;
type Reply<M, N extends keyof M> = M[N] extends { reply: infer R } ? R : null;
type Answer<M, N extends keyof M> = M[N] extends { reply: infer R } ? R | void | Promise<R | void> : unknown;
/** The arguments after the action: the body may be left out where there is none. */
type Rest<M, N extends keyof M, How> = undefined extends Body<M, N>
  ? [body?: Body<M, N>, how?: How]
  : [body: Body<M, N>, how?: How];

export interface ConnectOptions {
  /** The client's name, for showing. */
  name?: string;
  /** The credentials; they travel as a subprotocol, never in the address. */
  token?: string;
  /**
   * Returns the credentials: for the first connection if there is no `token`, before they expire, and once more when
   * the server has refused them or they have expired. `null` stays away; what it throws counts as a failing network.
   */
  getToken?: () => string | null | Promise<string | null>;
  /** The class to connect with, where there is no global one. */
  WebSocket?: new (url: string, protocols: string[]) => unknown;
}

export interface SendOptions {
  /** Drop the message unless the connection is open now. */
  volatile?: boolean;
  /** Send it to this client, by its id, if the server allows direct messages. */
  to?: string;
}

export interface RequestOptions {
  /** How long to wait for the answer, in seconds: 30 if absent; `Infinity` waits as long as it takes. */
  timeout?: number;
  /** Gives the request up; it fails with the signal's reason, and the server is told. */
  signal?: AbortSignal;
  to?: string;
}

/** A message as it came. */
export interface Message {
  readonly action: string;
  readonly message_body: unknown;
  readonly IsTargetClient: boolean;
  readonly target: string;
  /** The id of the client that sent it, or the name of the server. */
  readonly sender: string;
  readonly room?: string;
  readonly id?: string | number;
  readonly timeout?: number;
}

export type State = "connecting" | "open" | "waiting" | "closed";

export interface StateInfo {
  state: State;
  /** Of the Close that ended the connection; 1006 if there was none. */
  code?: number;
  /** For people; when it is open with a gap: why messages are missing. */
  reason?: string;
  /** When the next attempt comes, as a time of `Date.now()`; null: when the network is back. Only in "waiting". */
  at?: number | null;
  /** What became of the session. After "gap" messages are missing, after "new" this is another client. Only in "open". */
  outcome?: "resumed" | "gap" | "new";
  /** The rooms that this client is in, after "gap": a page that was loaded anew joins those that it shows. */
  rooms?: string[];
}

export interface Sync {
  /** The room was joined for the first time, or after it was left. */
  first: boolean;
  /** Messages of the room may have been missed. */
  gap: boolean;
  /** The server had forgotten this client's place, and the room was joined again. */
  rejoined: boolean;
}

export interface Closed {
  reason: string;
  /** If the room refused to be joined again. */
  error?: SimplySocketError;
}

export interface Joined {
  roomname: string;
  created: boolean;
  members: { client: string; name: string }[];
  total: number;
}

/** Takes a handler back. */
export type TakeBack = () => void;

export interface Speaker<Calls extends Actions<Calls>, Events extends Actions<Events>> {
  /**
   * Add a handler for an action of the server. If the server has sent a request, what the handler returns is the reply,
   * and a `SimplySocketError` that it throws is the error.
   */
  on<N extends Name<Events>>(
    action: N,
    handler: (body: Body<Events, N>, message: Message) => Answer<Events, N>,
  ): TakeBack;
  /** Add a handler that sees everything that comes; it answers nothing. */
  on(action: "*", handler: (body: unknown, message: Message) => unknown): TakeBack;
  /** Send a message; `SimplySocketError` with the code `gone` or `busy` if it cannot wait for a connection. */
  send<N extends Name<Calls>>(action: N, ...rest: Rest<Calls, N, SendOptions>): void;
  /** Send a request; return the body of its reply, or throw the `SimplySocketError` that the server answered with. */
  request<N extends Name<Calls>>(action: N, ...rest: Rest<Calls, N, RequestOptions>): Promise<Reply<Calls, N>>;
}

export interface Room<Calls extends Actions<Calls> = AnyActions, Events extends Actions<Events> = AnyActions>
  extends Speaker<Calls, Events> {
  readonly name: string;
  /** The code of a private room that was entered by `enter`; whoever knows it may join. */
  readonly code?: string;
  /** The names of the members by their ids, kept up to date if the room announces them; of a large room only some. */
  readonly members: ReadonlyMap<string, string>;
  /** The number of all members. */
  readonly total: number;
  /** Join; stay a member over all connections until `leave`, or until `onClosed`. */
  join(options?: object): Promise<Joined>;
  leave(): Promise<void>;
  /** Called after a join, after a rejoin, and when messages were missed: load the room's state here. */
  onSync(handler: (sync: Sync) => unknown): TakeBack;
  /** Called when this client is no member any more, and has not left by itself. */
  onClosed(handler: (closed: Closed) => unknown): TakeBack;
}

export interface Socket<Calls extends Actions<Calls> = AnyActions, Events extends Actions<Events> = AnyActions>
  extends Speaker<Calls, Events> {
  readonly state: State;
  /** The id of this client; empty before the first connection. */
  readonly id: string;
  /** The name for the next connection. */
  name: string | undefined;
  onState(handler: (info: StateInfo) => unknown): TakeBack;
  /** The room of this name, always the same object; it is not joined by this. */
  room<RoomCalls extends Actions<RoomCalls> = Calls, RoomEvents extends Actions<RoomEvents> = Events>(
    name: string,
  ): Room<RoomCalls, RoomEvents>;
  /** Join a room. Its messages wait until the caller has had the chance to add handlers. */
  join<RoomCalls extends Actions<RoomCalls> = Calls, RoomEvents extends Actions<RoomEvents> = Events>(
    name: string,
    options?: object,
  ): Promise<Room<RoomCalls, RoomEvents>>;
  /**
   * Enter a room that the server chooses: send a request whose reply is that of a join, such as `join-or-create`,
   * `create-private` and `join-by-code` of a lobby. The room's messages wait until the caller has had the chance to
   * add handlers, and it is joined again as after `join`, with the `options` of the body.
   */
  enter<RoomCalls extends Actions<RoomCalls> = Calls, RoomEvents extends Actions<RoomEvents> = Events>(
    action: string,
    body?: { options?: object; [key: string]: unknown },
    how?: RequestOptions,
  ): Promise<Room<RoomCalls, RoomEvents>>;
  /** Connect now, if it waits or is closed. */
  connect(): void;
  /** Close the connection and end the session. */
  close(): void;
}

/** What the server has refused, or what could not be sent. */
export class SimplySocketError extends Error {
  constructor(code: string, message?: string, more?: { path?: string; retryAfter?: number });
  readonly code: string;
  /** The place in the body that is wrong, such as "$.word". */
  readonly path?: string;
  /** Seconds after which it makes sense to try again. */
  readonly retryAfter?: number;
}

/** Connect to `/ws` of the page's own server, or to `url`. */
export function connect<Calls extends Actions<Calls> = AnyActions, Events extends Actions<Events> = AnyActions>(
  url?: string | URL,
  options?: ConnectOptions,
): Socket<Calls, Events>;
export function connect<Calls extends Actions<Calls> = AnyActions, Events extends Actions<Events> = AnyActions>(
  options: ConnectOptions,
): Socket<Calls, Events>;

/** What a `welcome` means for the session. */
export interface Opened {
  outcome: "resumed" | "gap" | "new";
  reason?: "overflow" | "slow" | "reload";
  /** The texts to send now, in this order. */
  send: string[];
  /** The ids of the requests to which no answer will come. */
  gone: string[];
}

/** The machine of the client's side of coming back, without I/O; `connect` drives it. */
export interface Session {
  readonly token: string | null;
  readonly isOpen: boolean;
  readonly pingDue: number;
  offer(): string[];
  opened(welcome: object, time: number): Opened;
  closed(code?: number | null): boolean;
  sending(text: string, action: string, id?: string, isVolatile?: boolean): boolean;
  giveUp(id: string): boolean | undefined;
  received(message: object): void;
  ping(time: number): { received: number };
}

export function makeSession(token?: string | null): Session;
