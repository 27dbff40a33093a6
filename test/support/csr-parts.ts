/** CSRs as no tool would write them: every field can be given, and the signature is right all the same. */
import { bitString, context, integer, octetString, oid, sequence, tlv } from '../../src/x509/der/writer.ts';
import { encodeExtensions, type Extension } from '../../src/x509/extensions/extension.ts';
import { encodeName, type NameAttribute } from '../../src/x509/names.ts';
import { OID } from '../../src/x509/oids.ts';
import { testKey, type TestKey } from './test-pki.ts';

export interface CsrRecipe {
  key?: TestKey;
  version?: number;
  subject?: NameAttribute[];
  /** Name, DER; instead of `subject`. */
  subjectDer?: Buffer;
  spki?: Buffer;
  /** Attributes, DER, in this order. */
  attributes?: Buffer[];
  /** What stands in place of the attributes element; empty leaves it out. */
  attributesDer?: Buffer;
  /** Parts behind the attributes. */
  behind?: Buffer[];
}

/** Attribute ::= SEQUENCE { type, SET OF value } with the values in this order. */
export const attribute = (type: string, ...values: Buffer[]): Buffer => sequence(oid(type), tlv(0x31, ...values));

export const extensionRequest = (...extensions: Extension[]): Buffer => attribute(OID.extensionRequest, encodeExtensions(extensions));

/** An extension with any value. */
export const anyExtension = (type: string, critical: boolean, value: Buffer = octetString(Buffer.alloc(0))): Extension => ({ oid: type, critical, value });

/** A CSR, DER, signed with the Ed25519 key of the recipe. */
export function makeCsr(recipe: CsrRecipe = {}): Buffer {
  const key = recipe.key ?? testKey('Test Agent');
  const info = sequence(
    integer(recipe.version ?? 0),
    recipe.subjectDer ?? encodeName(recipe.subject ?? [{ type: 'CN', value: 'Test Agent' }]),
    recipe.spki ?? key.spki,
    recipe.attributesDer ?? context(0, ...(recipe.attributes ?? [])),
    ...(recipe.behind ?? []),
  );
  return sequence(info, key.algorithm, bitString(key.sign(info)));
}
