import { SignetError } from '../core/errors.ts';
import { parseTbs } from '../x509/certificate.ts';
import { lintCertificate, type LintSubject } from '../x509/lint/index.ts';
import { encodeTbs, type CertificateIntent } from '../x509/tbs.ts';

/** Only `prepare` can make a token: the constructor asks for this. */
const MADE_BY_PREPARE = Symbol('made by prepare');

/** A linted TBSCertificate waiting for its one signature (DESIGN invariant 2). */
export class SigningToken {
  readonly intent: CertificateIntent;
  readonly #tbs: Buffer;
  #taken = false;

  constructor(proof: typeof MADE_BY_PREPARE, intent: CertificateIntent, tbs: Buffer) {
    if (proof !== MADE_BY_PREPARE) throw new TypeError('signing tokens are made by prepare()');
    this.intent = intent;
    this.#tbs = tbs;
  }

  /** The octets to sign. A token signs at most once. @throws SignetError `internal` the second time */
  take(): Buffer {
    if (this.#taken) throw new SignetError('internal', 'a signing token was used twice');
    this.#taken = true;
    return this.#tbs;
  }
}

/**
 * Builds the TBSCertificate of an intent, reads it back with the strict reader and lints what was read.
 * The only maker of signing tokens: nothing is signed that was not linted. @throws SignetError `internal` naming the lints that failed
 */
export function prepare(intent: CertificateIntent, subject: Omit<LintSubject, 'certificate'>): SigningToken {
  const tbs = encodeTbs(intent);
  const faults = lintCertificate({ ...subject, certificate: parseTbs(tbs) });
  if (faults.length > 0) {
    throw new SignetError('internal', `certificate refused by lint: ${faults.map((f) => `${f.lint} (${f.reference}): ${f.message}`).join('; ')}`);
  }
  return new SigningToken(MADE_BY_PREPARE, intent, tbs);
}
