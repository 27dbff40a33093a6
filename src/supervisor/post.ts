/** One end of an IPC channel: a worker as the supervisor has it, or this process as a worker. */
interface Channel {
  connected: boolean;
  send?(message: unknown, handle: undefined, options: undefined, sent: (error: Error | null) => void): boolean;
}

/** Messages that may wait in memory for an end that does not read; a process that stands still must not fill the others. */
const MAX_UNSENT = 1_000;

/** Hands messages to the other end without waiting. One that cannot be sent is dropped: whoever asked has a time-out. */
export function createPost<M>(channel: Channel): (message: M) => void {
  let unsent = 0;
  return (message) => {
    if (!channel.connected || unsent >= MAX_UNSENT) return;
    unsent++;
    // A channel that breaks is noticed by whoever watches the process; unheard, the error would end this one.
    channel.send?.(message, undefined, undefined, () => unsent--);
  };
}
