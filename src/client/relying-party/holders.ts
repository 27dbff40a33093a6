import { z } from 'zod';
import { getIdentity, identityAnswer } from '../../api/status.ts';
import { ApiError, createApiClient, type ApiClient } from '../api-client.ts';
import { createOnce, createPatience, createTurnstile, messageOf, NothingSaid, type SourceNeeds } from './sources.ts';

/** Who holds a certificate, as the service says: what is not in the certificate. */
export type Holder = z.output<typeof identityAnswer>;

export interface HolderSource {
  /** Whether it may be asked at all; else why not. */
  readonly absent: string | undefined;
  /** @throws NothingSaid */
  of(serial: string): Promise<Holder>;
  close(): void;
}

export interface HolderSourceOptions {
  urls: readonly string[];
  token?: string | undefined;
  identity?: { certificate: string; key: string } | undefined;
  pem: () => string;
}

const AT_ONCE = 8;
const WAITING = 1_000;

/** Asks the API or mutual TLS doors, one after the other, with the credential of a relying party that has the grants `status` and `identity`. */
export function createHolderSource(needs: Pick<SourceNeeds, 'clock' | 'random' | 'timeoutMs'>, options: HolderSourceOptions | undefined): HolderSource {
  const patience = createPatience(needs);
  const once = createOnce<Holder>();
  const turn = createTurnstile(AT_ONCE, WAITING);
  const clients = new Map<string, { client: ApiClient; pem: string }>();

  function clientFor(url: string, { token, identity, pem }: HolderSourceOptions): ApiClient {
    const known = clients.get(url);
    const trustBundle = pem();
    if (known?.pem === trustBundle) return known.client;
    known?.client.close();
    const client = createApiClient({ url, trustBundle, timeoutMs: needs.timeoutMs, keepAlive: true, ...(token !== undefined && { token }), ...(identity && { identity }) });
    clients.set(url, { client, pem: trustBundle });
    return client;
  }

  async function askAt(url: string, serial: string, from: HolderSourceOptions): Promise<Holder> {
    patience.assertWorthAsking(url);
    try {
      const answer = await clientFor(url, from).call(getIdentity, { params: { serial } });
      const holder = identityAnswer.parse(JSON.parse(answer.text));
      patience.answered(url);
      return holder;
    } catch (error) {
      // A refusal is an answer, and the door is not to blame.
      if (!(error instanceof ApiError && error.status === 404)) patience.failed(url, messageOf(error));
      throw new NothingSaid(messageOf(error), { cause: error });
    }
  }

  return {
    absent: options && options.urls.length > 0 ? undefined : 'not-asked',
    of: (serial) =>
      once(serial, () =>
        turn(async () => {
          let fault = new NothingSaid('nobody is to be asked');
          for (const url of options?.urls ?? []) {
            try {
              return await askAt(url, serial, options as HolderSourceOptions);
            } catch (error) {
              if (!(error instanceof NothingSaid)) throw error;
              fault = error;
            }
          }
          throw fault;
        }),
      ),
    close() {
      for (const { client } of clients.values()) client.close();
    },
  };
}
