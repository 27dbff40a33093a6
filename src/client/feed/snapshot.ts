import { createHash } from 'node:crypto';
import { snapshotEnd, snapshotEntry, snapshotStart } from '../../api/feed.ts';
import { readStatement, StatementError, trustFeedKey, type SnapshotEnd } from '../../verify/feed-statement.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { createStatusView, type StatusView } from './view.ts';

/** A snapshot whose signed end says that it is whole. */
export interface ReadSnapshot {
  view: StatusView;
  end: SnapshotEnd;
}

/** Takes a snapshot line by line. */
export interface SnapshotReader {
  /** @throws StatementError, and zod's error for a line that is none of a snapshot */
  line(octets: Buffer): void;
  /** @throws StatementError when the end is missing */
  result(): ReadSnapshot;
}

const BEFORE_SERIAL = Buffer.from('{"type":"certificate","serial":"');
const SERIAL_BYTES = 20;
const SERIAL_END = BEFORE_SERIAL.length + 2 * SERIAL_BYTES;
const AFTER_SERIAL = { revoked: Buffer.from('","status":"revoked","'), held: Buffer.from('","status":"held","') } as const;
const serial = Buffer.alloc(SERIAL_BYTES);

/**
 * The status in a line as the service writes that of a certificate, its serial in `serial`; undefined of any other line. A million of them are most of a snapshot: read as JSON they made a process grow by 20 MB
 * that nothing was kept of. The signature at the end is over these very octets.
 */
function plainCertificate(line: Buffer): 'revoked' | 'held' | undefined {
  if (line.length < SERIAL_END + AFTER_SERIAL.revoked.length || BEFORE_SERIAL.compare(line, 0, BEFORE_SERIAL.length) !== 0) return undefined;
  const status = (['revoked', 'held'] as const).find((one) => AFTER_SERIAL[one].compare(line, SERIAL_END, SERIAL_END + AFTER_SERIAL[one].length) === 0);
  // What is not hexadecimal ends the writing early.
  const isWhole = status !== undefined && serial.write(line.toString('latin1', BEFORE_SERIAL.length, SERIAL_END), 'hex') === SERIAL_BYTES;
  return isWhole ? status : undefined;
}

/** What is read counts only with its last line: signed by a feed key under one of `roots`, over the number of entries and the SHA-256 of all before it. */
export function createSnapshotReader(roots: readonly Certificate[], at: () => Date): SnapshotReader {
  const sum = createHash('sha256');
  const view = createStatusView();
  let start: ReturnType<typeof snapshotStart.parse> | undefined;
  let entries = 0;
  let end: SnapshotEnd | undefined;
  return {
    line(octets) {
      if (end) throw new StatementError('the snapshot goes on after its end');
      const plain = start && plainCertificate(octets);
      if (plain) {
        view.addCertificate(serial, plain);
        entries++;
        sum.update(octets);
        return;
      }
      const value: unknown = JSON.parse(octets.toString('utf8'));
      if (!start) {
        start = snapshotStart.parse(value);
      } else if ((value as { type?: unknown }).type === 'end') {
        end = judge(snapshotEnd.parse(value), start, sum.digest('hex'));
        return;
      } else {
        view.add(snapshotEntry.parse(value));
        entries++;
      }
      sum.update(octets);
    },
    result() {
      if (!end) throw new StatementError('the snapshot broke off before its end');
      return { view, end };
    },
  };

  function judge(said: ReturnType<typeof snapshotEnd.parse>, { cluster, epoch, n }: NonNullable<typeof start>, sha256: string): SnapshotEnd {
    const now = at();
    const signed = readStatement('snapshot', said.jws, trustFeedKey(said.x5c, roots, now), now);
    if (signed.sha256 !== sha256 || signed.entries !== entries) throw new StatementError('the snapshot is not what its signed end speaks of');
    if (signed.cluster !== cluster || signed.epoch !== epoch || signed.n !== n) throw new StatementError('the beginning and the end of the snapshot speak of different worlds');
    return signed;
  }
}
