import type { Operation } from '../../api/operation.ts';
import { ApiError, createApiClient, type ApiClient } from '../api-client.ts';
import { createPatience, createTurnstile, messageOf, NothingSaid, type SourceNeeds } from './sources.ts';

/** The API or mutual TLS doors of the service, and the credential of a relying party for them. */
export interface DoorOptions {
  urls: readonly string[];
  token?: string | undefined;
  identity?: { certificate: string; key: string } | undefined;
}

export interface Doors {
  /**
   * Asks one door after the other until one answers. `isAnswer`: a refusal that says what was asked, so that nobody else is asked and the door is not to blame. @throws NothingSaid,
   * its cause the ApiError where there is one
   */
  call(operation: Operation, params: Record<string, string>, isAnswer: (error: ApiError) => boolean): Promise<unknown>;
  close(): void;
}

const AT_ONCE = 8;
const WAITING = 1_000;

/** @param pem the roots of now */
export function createDoors(needs: Pick<SourceNeeds, 'clock' | 'random' | 'timeoutMs'>, { urls, token, identity }: DoorOptions, pem: () => string): Doors {
  const patience = createPatience(needs);
  const turn = createTurnstile(AT_ONCE, WAITING);
  const clients = new Map<string, { client: ApiClient; pem: string }>();

  function clientFor(url: string): ApiClient {
    const known = clients.get(url);
    const trustBundle = pem();
    if (known?.pem === trustBundle) return known.client;
    known?.client.close();
    const client = createApiClient({ url, trustBundle, timeoutMs: needs.timeoutMs, keepAlive: true, ...(token !== undefined && { token }), ...(identity && { identity }) });
    clients.set(url, { client, pem: trustBundle });
    return client;
  }

  async function askAt(url: string, ...[operation, params, isAnswer]: Parameters<Doors['call']>): Promise<unknown> {
    patience.assertWorthAsking(url);
    try {
      const answer = await clientFor(url).call(operation, { params });
      const said: unknown = JSON.parse(answer.text);
      patience.answered(url);
      return said;
    } catch (error) {
      if (!(error instanceof ApiError && isAnswer(error))) patience.failed(url, messageOf(error));
      throw new NothingSaid(messageOf(error), { cause: error });
    }
  }

  return {
    call: (operation, params, isAnswer) =>
      turn(async () => {
        let fault = new NothingSaid('nobody is to be asked');
        for (const url of urls) {
          try {
            return await askAt(url, operation, params, isAnswer);
          } catch (error) {
            if (!(error instanceof NothingSaid)) throw error;
            fault = error;
            if (error.cause instanceof ApiError && isAnswer(error.cause)) break;
          }
        }
        throw fault;
      }),
    close() {
      for (const { client } of clients.values()) client.close();
    },
  };
}
