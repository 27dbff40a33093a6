import type { ExportingKeyStore, SecretSealer } from './key-store.ts';
import { openKek, type KekDeps } from './software/kek.ts';
import type { KekSource } from './software/kek-source.ts';
import { createSealer, createSoftwareKeyStore } from './software/software-key-store.ts';

export { resolveKek, type KekSource } from './software/kek-source.ts';

export interface OpenKeyStore {
  keyStore: ExportingKeyStore;
  sealer: SecretSealer;
}

/**
 * The catalogue of key stores: the one place that names implementations. Exactly one is in use; today there is one, `software`.
 * Call it under the start lock on a migrated database.
 * @throws StartupError (78) for a wrong or missing key-encryption key; (73) when one could not be written
 */
export async function openKeyStore(deps: KekDeps, source: KekSource): Promise<OpenKeyStore> {
  const kek = await openKek(deps, source);
  return { keyStore: createSoftwareKeyStore(deps, kek), sealer: createSealer(deps, kek) };
}
