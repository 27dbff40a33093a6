import { describe, expect, test } from '@jest/globals';
import { authorityName, issuingExtensions, responderExtensions, rootExtensions, tlsExtensions, type AuthorityConfig } from '../../../src/authorities/templates.ts';
import { OID } from '../../../src/x509/oids.ts';

const config: AuthorityConfig = {
  trustDomain: 'signet.test', organization: 'Signet', publicUrl: 'http://status.test', nameConstraints: 'off', authorityKeyAlgorithm: 'ecdsa-p256',
  authorityBackdateSeconds: 3600, crlShards: 1, rootValidityDays: 3650, issuerValidityDays: 365, responderValidityDays: 7, tlsValidityDays: 30,
};
const signer = { id: '01KAJ3G5N8AAAAAAAAAAAAAAAA', keyIdentifier: Buffer.alloc(20, 1) };
const key = Buffer.alloc(20, 2);
const oids = (extensions: { oid: string }[]) => extensions.map(({ oid }) => oid);

describe('templates', () => {
  test('a root has no path length: a successor is cross-signed under it', () => {
    expect(rootExtensions(key).find(({ oid }) => oid === OID.basicConstraints)?.value.toString('hex')).toBe('30030101ff');
  });

  test('an issuing CA has path length 0, no EKU, and names the root’s list and certificate', () => {
    const extensions = issuingExtensions(config, signer, key);
    expect(extensions.find(({ oid }) => oid === OID.basicConstraints)?.value.toString('hex')).toBe('30060101ff020100');
    expect(oids(extensions)).not.toContain(OID.extendedKeyUsage);
    const text = Buffer.concat(extensions.map(({ value }) => value)).toString('latin1');
    expect(text).toContain(`http://status.test/crl/${signer.id}/complete.crl`);
    expect(text).toContain(`http://status.test/issuers/${signer.id}.cer`);
  });

  test.each([
    ['off', undefined],
    ['noncritical', false],
    ['critical', true],
  ] as const)('name constraints %s', (nameConstraints, critical) => {
    expect(issuingExtensions({ ...config, nameConstraints }, signer, key).find(({ oid }) => oid === OID.nameConstraints)?.critical).toBe(critical);
  });

  test('a responder is for OCSP signing only and is not asked about itself', () => {
    const extensions = responderExtensions(signer, key);
    expect(oids(extensions)).toEqual(expect.arrayContaining([OID.extendedKeyUsage, OID.ocspNoCheck]));
    expect(oids(extensions)).not.toContain(OID.crlDistributionPoints);
  });

  test('a TLS certificate carries the names it was given, in a SAN that is not critical', () => {
    const extensions = tlsExtensions(config, signer, key, { dnsNames: ['ca.test'], ipAddresses: ['127.0.0.1'] });
    const names = extensions.find(({ oid }) => oid === OID.subjectAlternativeName);
    expect(names?.critical).toBe(false);
    expect(names?.value.toString('hex')).toBe('300f820763612e7465737487047f000001');
  });

  test('a name of 64 characters leaves room for the role and the generation', () => {
    const [organization, commonName] = authorityName('O'.repeat(64), 'OCSP Responder', signer.id);
    expect(organization?.value).toHaveLength(64);
    expect(commonName?.value).toHaveLength(64);
    expect(commonName?.value.endsWith(' OCSP Responder AAAAAAAA')).toBe(true);
  });
});
