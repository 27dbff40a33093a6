import type { StatusRow } from '../../../src/db/status.ts';

/** A serial of our form (20 octets, version 1), told apart by `n`. */
export function serialOf(n: number): Buffer {
  const serial = Buffer.alloc(20);
  serial[0] = 1;
  serial.writeUIntBE(20_779, 1, 3);
  serial.writeUInt32BE(n, 16);
  return serial;
}

/** Rows as readStatusRows reads them; what a statement sees is fixed when it begins, as by a snapshot. */
export function fakeStatusTable(issuerId = 'issuer') {
  const rows = new Map<string, StatusRow>();
  /** Serials each statement asked for. */
  const statements: Buffer[][] = [];
  let gate: Promise<void> | undefined;
  const table = {
    rows,
    statements,
    /** Called when a statement has its snapshot and is about to return; throws to make it fail. */
    beforeAnswer: (): void => undefined,
    issue(serial: Buffer, given: { notAfter?: Date; agentId?: string | null; instanceId?: string | null; issuerId?: string } = {}) {
      const n = serial.readUInt32BE(16);
      rows.set(serial.toString('hex'), {
        serial,
        issuerId: given.issuerId ?? issuerId,
        agentId: given.agentId === undefined ? `agent-${n}` : given.agentId,
        instanceId: given.instanceId === undefined ? `instance-${n}` : given.instanceId,
        notAfter: given.notAfter ?? new Date('2026-11-21T01:00:00Z'),
        revokedAt: null,
        reason: null,
        heldAt: null,
      });
    },
    revoke(serial: Buffer, at: Date, reason: number) {
      Object.assign(rows.get(serial.toString('hex')) ?? {}, { revokedAt: at, reason });
    },
    putOnHold(serial: Buffer, at: Date | null) {
      Object.assign(rows.get(serial.toString('hex')) ?? {}, { heldAt: at });
    },
    /** Makes statements wait, after they took their snapshot, until `open`. */
    holdStatements() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return {
        open: () => {
          gate = undefined;
          resolve();
        },
      };
    },
    readRows: async (serials: readonly Uint8Array[]): Promise<StatusRow[]> => {
      const asked = serials.map((serial) => Buffer.from(serial));
      statements.push(asked);
      const snapshot = asked.flatMap((serial) => {
        const row = rows.get(serial.toString('hex'));
        return row ? [{ ...row }] : [];
      });
      await gate;
      table.beforeAnswer();
      return snapshot;
    },
  };
  return table;
}
