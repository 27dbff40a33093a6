import type { SiblingTopic } from '../core/siblings.ts';
import type { ToSupervisor, ToWorker } from './messages.ts';

/** What a worker says to its siblings. */
export type SiblingMessage = Extract<ToSupervisor, { kind: 'handles' | 'ask' | 'answer' | 'tell' }>;

/** Carries what workers say to each other; knows nothing of its meaning. */
export interface Relay {
  /** `post` hands a message to the worker and does not wait; it may drop it. */
  join(worker: number, post: (message: ToWorker) => void): void;
  /** The worker has ended: nobody waits for it any more. */
  leave(worker: number): void;
  heard(worker: number, message: SiblingMessage): void;
}

interface Member {
  post: (message: ToWorker) => void;
  topics: Set<SiblingTopic>;
}

interface OpenAsk {
  asker: number;
  /** The asker's own number of it. */
  ask: number;
  left: Set<number>;
  forget: NodeJS.Timeout;
}

export function createRelay(): Relay {
  const members = new Map<number, Member>();
  const open = new Map<number, OpenAsk>();
  let lastAsk = 0;

  const othersWith = (worker: number, topic: SiblingTopic): [number, Member][] => [...members].filter(([number, { topics }]) => number !== worker && topics.has(topic));

  function drop(id: number): void {
    clearTimeout(open.get(id)?.forget);
    open.delete(id);
  }

  /** The worker has answered, or has ended: then `said` is empty. */
  function settle(id: number, worker: number, said: { answer?: unknown }): void {
    const asked = open.get(id);
    if (!asked?.left.delete(worker)) return;
    members.get(asked.asker)?.post({ kind: 'answered', ask: asked.ask, left: asked.left.size, ...said });
    if (asked.left.size === 0) drop(id);
  }

  function ask(asker: number, { ask: asked, topic, message, timeoutMs }: Extract<SiblingMessage, { kind: 'ask' }>): void {
    const others = othersWith(asker, topic);
    if (others.length === 0) return members.get(asker)?.post({ kind: 'answered', ask: asked, left: 0 });
    const id = ++lastAsk;
    // The asker has a time-out of its own; this one only keeps the asks of silent workers from piling up.
    const forget = setTimeout(() => open.delete(id), timeoutMs).unref();
    open.set(id, { asker, ask: asked, left: new Set(others.map(([number]) => number)), forget });
    for (const [, { post }] of others) post({ kind: 'asked', ask: id, topic, message });
  }

  return {
    join: (worker, post) => void members.set(worker, { post, topics: new Set() }),
    leave(worker) {
      members.delete(worker);
      for (const [id, { asker }] of open) {
        if (asker === worker) drop(id);
        else settle(id, worker, {});
      }
    },
    heard(worker, message) {
      switch (message.kind) {
        case 'handles':
          return void members.get(worker)?.topics.add(message.topic);
        case 'ask':
          return ask(worker, message);
        case 'answer':
          return settle(message.ask, worker, 'answer' in message ? { answer: message.answer } : {});
        case 'tell':
          for (const [, { post }] of othersWith(worker, message.topic)) post({ kind: 'told', topic: message.topic, message: message.message });
      }
    },
  };
}
