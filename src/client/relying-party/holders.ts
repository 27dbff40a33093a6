import type { z } from 'zod';
import { getIdentity, identityAnswer } from '../../api/status.ts';
import { createDoors, type DoorOptions } from './doors.ts';
import { createOnce, NothingSaid, type SourceNeeds } from './sources.ts';

/** Who holds a certificate, as the service says: what is not in the certificate. */
export type Holder = z.output<typeof identityAnswer>;

export interface HolderSource {
  /** Whether it may be asked at all; else why not. */
  readonly absent: string | undefined;
  /** @throws NothingSaid */
  of(serial: string): Promise<Holder>;
  close(): void;
}

/** Asks with the credential of a relying party that has the grants `status` and `identity`. */
export function createHolderSource(needs: Pick<SourceNeeds, 'clock' | 'random' | 'timeoutMs'>, options: DoorOptions | undefined, pem: () => string): HolderSource {
  const once = createOnce<Holder>();
  const doors = createDoors(needs, options ?? { urls: [] }, pem);

  async function ask(serial: string): Promise<Holder> {
    const holder = identityAnswer.safeParse(await doors.call(getIdentity, { serial }, ({ status }) => status === 404));
    if (!holder.success) throw new NothingSaid('the answer of the service is not of its form');
    return holder.data;
  }

  return {
    absent: options && options.urls.length > 0 ? undefined : 'not-asked',
    of: (serial) => once(serial, () => ask(serial)),
    close: () => doors.close(),
  };
}
