import type { ReplicaState, Siblings, SiblingTopic } from '../core/siblings.ts';
import type { ToSupervisor, ToWorker } from './messages.ts';

/** What the supervisor relays to a worker. */
export type Relayed = Extract<ToWorker, { kind: 'replica' | 'asked' | 'told' | 'answered' }>;

/** The siblings of a worker, by way of the supervisor. */
export interface RelayedSiblings extends Siblings {
  heard(message: Relayed): void;
}

interface Waiting {
  answers: unknown[];
  settle(answers: unknown[]): void;
}

export function createSiblings(place: { number: number; workers: number }, post: (message: ToSupervisor) => void): RelayedSiblings {
  const handlers = new Map<SiblingTopic, (message: unknown) => unknown>();
  const waiting = new Map<number, Waiting>();
  let state: ReplicaState = { serving: [], wasComplete: false, killed: 0 };
  let lastAsk = 0;

  async function answer(ask: number, topic: SiblingTopic, message: unknown): Promise<void> {
    try {
      post({ kind: 'answer', ask, answer: await handlers.get(topic)?.(message) });
    } catch {
      // Who handles has said why, if it matters; who asks need not wait.
      post({ kind: 'answer', ask });
    }
  }

  return {
    ...place,
    replica: () => state,
    ask(topic, message, timeoutMs) {
      return new Promise((resolve) => {
        const ask = ++lastAsk;
        const answers: unknown[] = [];
        const settle = () => {
          clearTimeout(late);
          waiting.delete(ask);
          resolve(answers);
        };
        const late = setTimeout(settle, timeoutMs);
        waiting.set(ask, { answers, settle });
        post({ kind: 'ask', ask, topic, message, timeoutMs });
      });
    },
    tell: (topic, message) => post({ kind: 'tell', topic, message }),
    on(topic, handler) {
      handlers.set(topic, handler);
      post({ kind: 'handles', topic });
    },
    heard(message) {
      switch (message.kind) {
        case 'replica':
          state = message.state;
          return;
        case 'asked':
          return void answer(message.ask, message.topic, message.message);
        case 'told':
          return void handlers.get(message.topic)?.(message.message);
        case 'answered': {
          const asked = waiting.get(message.ask);
          if (!asked) return;
          if ('answer' in message) asked.answers.push(message.answer);
          if (message.left === 0) asked.settle(asked.answers);
        }
      }
    },
  };
}
