/** Any JSON, kept byte by byte as sent. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** The protocol's codes; and this module's own, in the last line. */
export type ErrorCode =
  | 'bad_request' | 'refused_before' | 'unknown_method' | 'client_mismatch' | 'room_not_found' | 'room_exists' | 'not_joined'
  | 'too_large' | 'conflict' | 'unauthorized' | 'forbidden' | 'rate_limited' | 'unavailable'
  | 'closed' | 'in_room_already' | 'not_in_room' | 'not_sent' | 'outcome_unknown' | 'too_many_waiting';

/** Why a request was not carried out. After `outcome_unknown` it may be applied; after any other code it is not. */
export class ParleyError extends Error {
  constructor(code: ErrorCode, reason?: string, more?: object);
  readonly code: ErrorCode;
  /** After `conflict`: what the keys that `if` named hold, and which change wrote it. */
  readonly values?: Record<string, any>;
  readonly versions?: Record<string, number>;
}

export interface Waiting {
  /** Ends the wait with its reason. What was asked for and is under way may happen all the same. */
  signal?: AbortSignal;
}

/** One entry of a room's log. Neither `message` nor `set`: erased since, or of a newer kind; to be skipped. */
export interface Change<Message = any> {
  /** Its place in the room: 1, 2, 3 … */
  readonly seq: number;
  /** Who sent it; missing when it came by HTTP or SQL. */
  readonly clientId?: string;
  /** The sender's number for it. */
  readonly id?: number;
  /** The sender's user, when it had a credential. */
  readonly userId?: string;
  /** The node's clock, milliseconds since 1970; for people, for only `seq` orders. */
  readonly at?: number;
  readonly message?: Message;
  /** Values that it wrote; null removed one. */
  readonly set?: { readonly [key: string]: any };
}

export interface Member<Profile = any> {
  readonly clientId: string;
  readonly userId?: string;
  readonly profile?: Profile;
}

/** What was given to a room and has no answer yet. */
export interface Pending<Message = any> {
  /** The same for as long as it waits. */
  readonly key: number;
  readonly method: 'message' | 'set';
  readonly message?: Message;
  readonly set?: { readonly [key: string]: any };
  readonly if?: { readonly [key: string]: number };
}

export interface HistoryPage<Message = any> {
  readonly from: number;
  /** `from` - 1 when there is nothing. */
  readonly to: number;
  /** The oldest place that the room still keeps. */
  readonly first: number;
  /** There is more in that direction. */
  readonly more: boolean;
  readonly changes: readonly Change<Message>[];
}

export interface MembersPage<Profile = any> {
  readonly count: number;
  /** In the order of their ids. */
  readonly clients: readonly Member<Profile>[];
  readonly more: boolean;
}

/** Where a client stands. It goes on by itself from all but the last. */
export type ParleyState =
  | { readonly name: 'connecting' }
  | { readonly name: 'open'; readonly node: string; readonly clientId: string; readonly resumed: boolean }
  /** Until the next attempt. */
  | { readonly name: 'waiting'; readonly reason: string }
  /** `asked`: by `close`. `taken_over`: the session goes on at a newer socket, whose it now is. `not_admitted`: nobody is let in
      with this credential, or without one. `refused`: the node's close code forbids to come again. */
  | { readonly name: 'closed'; readonly end: 'asked' | 'taken_over' | 'not_admitted' | 'refused'; readonly reason: string };

export type RoomEnd = 'left' | 'removed' | 'closed' | 'refused' | 'client_closed';

export interface ParleyEvents {
  state: ParleyState;
  /** A node refused what nobody waits for, such as a signal that is too large. */
  error: ParleyError & { readonly roomId?: string };
}

export interface RoomEvents<Message = any, Profile = any> {
  /** Each change that comes, once, in order. */
  change: Change<Message>;
  /** What was known is not continued: `changes`, `values` and `versions` are new. `diverged`: it is no part of the room's history
      any more. */
  reset: { readonly diverged: boolean };
  /** Who came, or has another profile; who left. */
  members: { readonly joined: readonly Member<Profile>[]; readonly left: readonly string[]; readonly count: number };
  /** The sender gets its own too. */
  signal: { readonly clientId: string; readonly userId?: string; readonly key?: string; readonly signal: any };
  /** What an earlier page of this session had given to the room and nobody waits for any more was not carried out. */
  failed: Pending<Message> & { readonly error: ParleyError };
  /** Anything above, and all of one frame at once. */
  update: undefined;
  /** Nothing comes any more. `error` when the node does not let the client in again. */
  end: { readonly reason: RoomEnd; readonly error?: ParleyError };
}

declare class Emitter<Events> extends EventTarget {
  /** Calls with an event's `detail`; returns what ends that. */
  on<Type extends keyof Events & string>(
    type: Type, listener: (detail: Events[Type]) => void, options?: AddEventListenerOptions): () => void;
  addEventListener<Type extends keyof Events & string>(
    type: Type, listener: (event: Event & { readonly detail: Events[Type] }) => void,
    options?: boolean | AddEventListenerOptions): void;
  addEventListener(
    type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}

/** A room that a client is in, and what is known of it. What it holds is replaced, never altered, but for `members`. */
export class Room<Message = any, Profile = any> extends Emitter<RoomEvents<Message, Profile>>
  implements AsyncIterable<Change<Message>> {
  private constructor();
  readonly id: string;
  /** Who one is here. */
  readonly clientId: string | null;
  readonly state: 'joining' | 'joined' | 'ended';
  /** Up to 1,000 of them; `membersPage` has all. */
  readonly members: ReadonlyMap<string, Member<Profile>>;
  /** How many are here, whether `members` has them all or not. */
  readonly count: number;
  /** The newest, oldest first, without a gap: up to 1,000, and as many more as `older` has added. */
  readonly changes: readonly Change<Message>[];
  /** The place of the newest change. */
  readonly seq: number;
  readonly values: { readonly [key: string]: any };
  /** Of each value the `seq` of the change that wrote it. */
  readonly versions: { readonly [key: string]: number };
  readonly pending: readonly Pending<Message>[];

  /** Resolves with the message's place once it is durable: applied once, whatever happens meanwhile. Null when it is durable and
      its place lies in a part of the log that a reset has skipped. */
  send(message: Message, options?: Waiting): Promise<number | null>;
  /** Writes values; null removes one. `if` names for a key the version that it must have, 0 for none: else `conflict`. */
  set(
    values: { readonly [key: string]: any }, options?: Waiting & { if?: { readonly [key: string]: number } }
  ): Promise<number | null>;
  /** Shown to all who are here, and not kept. It may be lost; the newest of a key wins. */
  signal(signal: unknown, key?: string): void;
  /** Changes between `before` and `after`, each a place that is not included; the newest 100 of them if not told otherwise. */
  history(options?: Waiting & { before?: number; after?: number; limit?: number }): Promise<HistoryPage<Message>>;
  /** Puts up to `limit` older changes (50) before those in `changes`; resolves with how many there were. */
  older(limit?: number, options?: Waiting): Promise<number>;
  /** Members whose ids are behind `after`. */
  membersPage(options?: Waiting & { after?: string; limit?: number }): Promise<MembersPage<Profile>>;
  /** Should a node refuse it, the client's `error` says so, and the former one stays. */
  setProfile(profile: Profile): void;
  /** Resolves once the others know; to join again may be asked for before. */
  leave(options?: Waiting): Promise<void>;
  /** Each change once, in order: those behind `after`, or those that are known, then each that comes. What a slow reader missed
      is read again, as far as the room keeps it. Ends when the room does. */
  stream(options?: Waiting & { after?: number }): AsyncGenerator<Change<Message>, void, undefined>;
  [Symbol.asyncIterator](): AsyncGenerator<Change<Message>, void, undefined>;
}

export interface ParleyOptions {
  /** A JWT, or what gets one; it is called for each socket, with `isRefused` when the former one was not good enough. */
  token?: string | ((why: { isRefused: boolean }) => string | Promise<string>);
  /** Where there is none of its own, as in Node 20: for example that of the package `ws`. */
  WebSocket?: any;
  /** To be taken up. Secret. */
  session?: string;
  /** What keeps the session over a reload of the page: `sessionStorage`, if there is one. Null for nothing. */
  storage?: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'> | null;
  /** Two clients of one page and address need two keys to be kept both. */
  storageKey?: string;
  /** Messages that may wait to be sent, per room: 1,000. One more is `too_many_waiting`. */
  waitingMax?: number;
  /** In place of `window`, for tests. */
  page?: any;
}

export interface CreateOptions extends Waiting {
  /** 1 to 64 of A-Z a-z 0-9 . _ ~ - ; else a new, random one. */
  roomId?: string;
  meta?: { readonly [key: string]: Json };
  /** How much of the log is kept; else everything. */
  retain?: { messages?: number; seconds?: number };
  /** The name of an SQL function that judges what is sent into the room. It has to be there: else `bad_request`. */
  rule?: string;
}

export interface JoinOptions<Profile = any> extends Waiting {
  /** Shown to others. */
  profile?: Profile;
  /** How many of the newest changes to begin with: 50. */
  recent?: number;
  /** Whether to hear of members: true. */
  presence?: boolean;
  /** Makes the room if it is not there. */
  create?: boolean | Pick<CreateOptions, 'meta' | 'retain' | 'rule'>;
}

/** One client: one session over any number of sockets. Connects at once, and goes on until it is closed or a node forbids it. */
export class Parley extends Emitter<ParleyEvents> {
  /** `url`: of a node or of what balances between nodes, ws: or http:, `/ws` unless told. In a page it may be relative. Throws a
      `TypeError` for what is no such address. */
  constructor(url: string | URL, options?: ParleyOptions);
  readonly url: URL;
  readonly state: 'connecting' | 'open' | 'waiting' | 'closed';
  /** The node that one is on, or was last. */
  readonly node: string | null;
  readonly clientId: string | null;
  /** To go on with in another client. Secret. */
  readonly session: string | null;
  /** Makes a room, unless it is there, and resolves with its id. */
  create(options?: CreateOptions): Promise<string>;
  /** Resolves once one is a member. From then on one is, whatever happens to sockets and nodes, until one leaves. */
  join<Message = any, Profile = any>(roomId: string, options?: JoinOptions<Profile>): Promise<Room<Message, Profile>>;
  /** Leaves all rooms and ends the session. */
  close(): void;
}

export {};
