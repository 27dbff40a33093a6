/** Rows as readStatusRows gets them from the database; what a statement sees is fixed when it begins, as by a snapshot. */
interface FakeRow {
  serial: Buffer;
  issuer_id: string;
  agent_id: string | null;
  instance_id: string | null;
  not_before: Date;
  not_after: Date;
  revoked_at: Date | null;
  revocation_reason: number | null;
  held_at: Date | null;
}

/** A serial of our form (20 octets, version 1), told apart by `n`. */
export function serialOf(n: number): Buffer {
  const serial = Buffer.alloc(20);
  serial[0] = 1;
  serial.writeUIntBE(20_779, 1, 3);
  serial.writeUInt32BE(n, 16);
  return serial;
}

export function fakeStatusTable(issuerId = 'issuer') {
  const rows = new Map<string, FakeRow>();
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
        issuer_id: given.issuerId ?? issuerId,
        agent_id: given.agentId === undefined ? `agent-${n}` : given.agentId,
        instance_id: given.instanceId === undefined ? `instance-${n}` : given.instanceId,
        not_before: new Date('2026-11-20T23:59:00Z'),
        not_after: given.notAfter ?? new Date('2026-11-21T01:00:00Z'),
        revoked_at: null,
        revocation_reason: null,
        held_at: null,
      });
    },
    revoke(serial: Buffer, at: Date, reason: number) {
      Object.assign(rows.get(serial.toString('hex')) ?? {}, { revoked_at: at, revocation_reason: reason });
    },
    putOnHold(serial: Buffer, at: Date | null) {
      Object.assign(rows.get(serial.toString('hex')) ?? {}, { held_at: at });
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
    db: {
      $queryRaw: async (sql: { values: unknown[] }) => {
        // The last value is the list of all serials, for the authority's own certificates.
        const serials = (sql.values.at(-1) as Uint8Array[]).map((serial) => Buffer.from(serial));
        statements.push(serials);
        const snapshot = serials.flatMap((serial) => {
          const row = rows.get(serial.toString('hex'));
          return row ? [{ ...row }] : [];
        });
        await gate;
        table.beforeAnswer();
        return snapshot;
      },
    },
  };
  return table;
}
