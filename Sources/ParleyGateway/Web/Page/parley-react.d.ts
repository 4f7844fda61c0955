import type { Change, JoinOptions, Member, ParleyError, ParleyOptions, ParleyState, Pending, Room } from './parley.js';

export type UseRoomOptions<Profile = any> = ParleyOptions & Omit<JoinOptions<Profile>, 'signal'>;

export interface UsedRoom<Message = any, Profile = any> {
  /** `open`: all is well. `connecting`, and `waiting` for the next attempt: what is known stays, and what is sent waits. `closed`:
      the client will not come back by itself. `ended`: the room has, or could not be joined; see `error`. */
  readonly status: 'connecting' | 'open' | 'waiting' | 'closed' | 'ended';
  readonly node: string | null;
  readonly clientId: string | null;
  /** For what is not here. Null until it is joined. */
  readonly room: Room<Message, Profile> | null;
  /** Why it is `closed`, then with the state's `end`, or `ended`; or why the newest profile was not taken, and the room goes on
      without it. */
  readonly error: Error | (ParleyError & { readonly end?: Extract<ParleyState, { name: 'closed' }>['end'] }) | null;
  readonly count: number;
  readonly members: readonly Member<Profile>[];
  readonly changes: readonly Change<Message>[];
  readonly pending: readonly Pending<Message>[];
  readonly values: Room['values'];
  readonly versions: Room['versions'];
  /** As in `Room`. Before the room is joined they wait for that, but for a signal, which is then lost. */
  readonly send: Room<Message>['send'];
  readonly set: Room['set'];
  readonly signal: Room['signal'];
  readonly older: Room['older'];
  /** After `closed` or `ended`. */
  readonly retry: () => void;
}

/** The room as it is now, and what one can do in it. The components that show one room share it, by the options of the first. No
    socket is opened before a component is mounted. */
export function useRoom<Message = any, Profile = any>(
  url: string | URL, roomId: string, options?: UseRoomOptions<Profile>
): UsedRoom<Message, Profile>;
