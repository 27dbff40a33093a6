import type { Db } from '../../../src/db/client.ts';

interface Row {
  id: string;
}

/** The two tables of the software key store in memory, with the few calls src/db/keystore.ts makes. */
export interface MemoryDb {
  db: Db;
  keks: (Row & { checkValue: Uint8Array })[];
  keys: (Row & { sealedPkcs8: Uint8Array; spki: Uint8Array; purpose: string })[];
}

export function memoryDb(): MemoryDb {
  const keks: MemoryDb['keks'] = [];
  const keys: MemoryDb['keys'] = [];
  const db = {
    keyEncryptionKey: {
      findFirst: () => Promise.resolve(keks[0] ?? null),
      create: ({ data }: { data: MemoryDb['keks'][number] }) => Promise.resolve(keks.push(data)),
    },
    keystoreKey: {
      findUnique: ({ where }: { where: Row }) => Promise.resolve(keys.find((key) => key.id === where.id) ?? null),
      create: ({ data }: { data: MemoryDb['keys'][number] }) => Promise.resolve(keys.push(data)),
    },
    $executeRaw: () => Promise.resolve(0),
    $transaction: (work: (tx: unknown) => Promise<unknown>) => work(db),
  };
  return { db: db as unknown as Db, keks, keys };
}
