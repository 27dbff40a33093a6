import { createHash } from 'node:crypto';
import type { Responder } from '../../authorities/authorities.ts';
import { bitStringBytes, open } from '../../x509/der/reader.ts';
import { TAG } from '../../x509/der/writer.ts';

const known = new WeakMap<Responder, Buffer>();

/** SHA-1 of the responder's subjectPublicKey bits without tag, length and unused-bits octet: how ResponderID names it (RFC 6960 §4.2.1). */
export function subjectKeyHash(responder: Responder): Buffer {
  const before = known.get(responder);
  if (before) return before;
  const info = open(responder.certificate.spki).sequence('SubjectPublicKeyInfo');
  info.expect(TAG.SEQUENCE, 'algorithm');
  const hash = createHash('sha1').update(bitStringBytes(info.expect(TAG.BIT_STRING, 'subjectPublicKey'))).digest();
  known.set(responder, hash);
  return hash;
}
