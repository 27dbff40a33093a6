import { DerError } from '../../x509/der/reader.ts';
import type { Certificate } from '../../x509/certificate.ts';
import { OcspAnswerError, ocspRequest, readOcspAnswer } from '../ocsp.ts';
import { AskError } from './ask.ts';
import { addressesOf, createOnce, createPatience, createTurnstile, messageOf, NothingSaid, type Said, type Source, type SourceNeeds } from './sources.ts';

const MAX_ANSWER_BYTES = 65_536;
const NONCE_BYTES = 16;
const AT_ONCE = 32;
const WAITING = 2_000;
/** CRLReason certificateHold (RFC 5280 §5.3.1). */
const HOLD = 6;

/** OCSP over HTTP (RFC 6960). Each question carries a nonce of its own: over plain HTTP an old answer could be played again for as long as it says. */
export function createOcspSource(needs: SourceNeeds): Source {
  const { ask, clock, random, timeoutMs } = needs;
  const patience = createPatience(needs);
  const once = createOnce<Said>();
  const turn = createTurnstile(AT_ONCE, WAITING);

  async function askAt(url: string, certificate: Certificate, issuer: Certificate): Promise<Said> {
    patience.assertWorthAsking(url);
    const nonce = random.bytes(NONCE_BYTES);
    const octets = ocspRequest(issuer, certificate.serial, nonce);
    try {
      const reply = await ask({ url, body: { octets, contentType: 'application/ocsp-request' }, maxBytes: MAX_ANSWER_BYTES, timeoutMs });
      if (reply.status !== 200) throw new AskError(`${url}: status ${reply.status}`);
      const { certStatus, thisUpdate, nextUpdate } = readOcspAnswer(reply.octets, issuer, certificate.serial, clock.now(), nonce);
      patience.answered(url);
      const status = certStatus.status === 'revoked' && certStatus.reason === HOLD ? 'held' : certStatus.status;
      return { status, source: 'ocsp', thisUpdate, nextUpdate };
    } catch (error) {
      if (!(error instanceof AskError || error instanceof OcspAnswerError || error instanceof DerError)) throw error;
      patience.failed(url, messageOf(error));
      throw new NothingSaid(messageOf(error), { cause: error });
    }
  }

  return {
    ask(certificate, issuer) {
      const urls = addressesOf(certificate.authorityInformationAccess?.ocsp ?? [], needs.statusUrl);
      return once(`${issuer.subjectKeyIdentifier?.toString('hex') ?? ''} ${certificate.der.toString('latin1')}`, () =>
        turn(async () => {
          let fault = 'the certificate names no OCSP responder';
          for (const url of urls) {
            try {
              return await askAt(url, certificate, issuer);
            } catch (error) {
              if (!(error instanceof NothingSaid)) throw error;
              fault = error.message;
            }
          }
          throw new NothingSaid(`OCSP: ${fault}`);
        }),
      );
    },
  };
}
