/** One end of an IPC channel: a worker as the supervisor has it, or this process as a worker. */
interface Channel {
  connected: boolean;
  send?(message: unknown, handle: undefined, options: undefined, sent: () => void): boolean;
}

/** Hands messages to the other end without waiting. What cannot be sent is lost: whoever asked has a time-out, and the end of a process is heard otherwise. */
export interface Post<M> {
  /** Loses the message as well when too many wait already. */
  readonly send: (message: M) => void;
  /** However many wait. */
  readonly insist: (message: M) => void;
}

/** Messages that may wait in memory for an end that does not read: a process that stands still must not fill the others. */
const MAX_UNSENT = 1_000;

export function createPost<M>(channel: Channel): Post<M> {
  let unsent = 0;
  const insist = (message: M): void => {
    if (!channel.connected) return;
    unsent++;
    channel.send?.(message, undefined, undefined, () => unsent--);
  };
  return {
    insist,
    send(message) {
      if (unsent < MAX_UNSENT) insist(message);
    },
  };
}
