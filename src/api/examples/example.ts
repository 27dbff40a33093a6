import type { RequestMediaType } from '../operation.ts';

/** What the documents say of an operation beyond its contract: prose, and one example exchange that a test sends. */
export interface OperationExample {
  /** What a caller must know beyond the summary; one paragraph, `code` in backticks. */
  description: string;
  /** Path parameters of the example request. */
  params?: Readonly<Record<string, string>>;
  query?: Readonly<Record<string, string>>;
  /** Example bodies by media type; absent where nothing needs to be sent, or where it is binary. */
  requests?: Readonly<Partial<Record<RequestMediaType, unknown>>>;
  /** Example answers by status and media type; binary ones have none. */
  answers: Readonly<Record<number, Readonly<Record<string, unknown>>>>;
}

/** Ids of the one story that the examples of all operations tell. */
export const AGENT_ID = '01M7YV5B0RBS4E4WP8XD9NKT4E';
export const INSTANCE_ID = '01M7YV5B2YWSSJVHJ9MTV8J6PN';
export const OWNER_ID = '01M7YV5A3M8N2R6T0V4X7Z1B5D';
export const JOIN_TOKEN_ID = '01M7YV5B23TB3MX548R55HT6VS';
export const ADMIN_TOKEN_ID = '01M7YV54SG3KX595SP835AS9FG';
export const NEW_ADMIN_TOKEN_ID = '01M7YVA2X9QJ4T5C8W3E6R1N0K';
export const ROTATED_TOKEN_ID = '01M8Z2Q4H7D0W5X9C3V6B8N1MF';
export const RELYING_PARTY_ID = '01M7YVE1A7C2T9H4N6P8R0S3WX';
export const RELYING_PARTY_TOKEN_ID = '01M7YVF5B8D3W0J6Q9R2S4T7XY';
export const PINNED_CERTIFICATE_ID = '01M7YVG2C9E4X1K7S0T3V5W8ZA';
export const FINDING_ID = '01M7YV7K2M0C9H4V8B5N3X6Z1A';
export const KILL_ID = '01M7YZ5Q8C3K7X1N9T4W6R2V0B';
export const STEER_ID = '01M7YZ7D2F6P0R4H8J1M3S5V9X';
export const ROOT_ID = '01M7YV54JW6PVRF79J3ZR0FVR3';
export const ISSUER_ID = '01M7YV54JWRMBXNJXBBY5F0QNK';
export const FIRST_SERIAL = '0100512a6e71b54dbe53f5b90c50f2908f1ee98e';
export const SERIAL = '0100512a1890dc83427d218f49dcd407391393b1';
/** Of the certificate that the join token gave. */
export const FIRST_EVENT_ID = '01M7YV5B4X8T2M6Q0C5V9D3H7J';
export const EVENT_ID = '01M7YV5B6N3W9R1K7P4X0B8T2F';
export const FINGERPRINT = '4934971ade22a51ecee9e751f1113124ba96f811899ee718b4bb029b9e2bf6b7';
export const LEAF_HASH = 'b7d0c7f0a2cd0f41a83a25d7a1d6d0ec2f3ef2e3f7e5ee4e13bb5a2d8a5c4e19';
export const UNKNOWN_SERIAL = '0101010101010101010101010101010101010101';

/** Secrets of no use: nothing of the sort was ever made. */
export const JOIN_TOKEN = `sgj_${JOIN_TOKEN_ID}_${'example-'.repeat(5)}not`;
export const API_TOKEN = `sga_${NEW_ADMIN_TOKEN_ID}_${'example-'.repeat(5)}not`;

export const ROTATED_API_TOKEN = `sga_${ROTATED_TOKEN_ID}_${'example-'.repeat(5)}not`;
export const RELYING_PARTY_TOKEN = `sga_${RELYING_PARTY_TOKEN_ID}_${'example-'.repeat(5)}not`;

export const CSR = `-----BEGIN CERTIFICATE REQUEST-----
MIHgMIGHAgEAMCUxIzAhBgNVBAMMGjAxTTdZVjVCMFJCUzRFNFdQOFhEOU5LVDRF
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAENu2AAls9AJlBWyB/m1Tjemh95yZP
B9W+ZP/Q8ofC6sBuGFOMpmq8B+q5mZIpoPATEZMwyiDKN78iIds9InMoOaAAMAoG
CCqGSM49BAMCA0gAMEUCIBWFSP8UDoxSBZMNbgy+xBnpwEw8LWQWvHbmcFvytlLi
AiEA9L5zos7w5XIlu1h7obzsjSkoc9fcw/JkTS9LXCmZqOw=
-----END CERTIFICATE REQUEST-----
`;

/** Of the log, as of thirteen events; hashes are of the right length and of nothing. */
export const PROOF = ['2a5c8e13f0b7d946', '7f10c3d2e4a59b68', 'c09e6b1d3f87a254', '51d3a7f6094be8c2'].map((digits) => digits.repeat(4));
export const ROOT_HASH = '9c27e0b4d1f6835a'.repeat(4);
export const CHECKPOINT = `signet.internal\n13\n${Buffer.from(ROOT_HASH, 'hex').toString('base64')}\n\n\u2014 signet.internal ${Buffer.alloc(68, 7).toString('base64')}\n`;
/** Canonical bytes, cut. */
export const EVENT_BYTES = 'eyJhY3RvciI6eyJpZCI6IjAxTTdZVjVCMFJCUzRFNFdQOFhEOU5LVDRFIiwia2luZCI6ImFnZW50In0s';

/** Certificates, cut: nobody reads them. */
export const LEAF_PEM = '-----BEGIN CERTIFICATE-----\nMIIC/TCCAqOgAwIBAgIUAQBRKhiQ3INCfSGPSdzUBzkTk7Ew…\n-----END CERTIFICATE-----\n';
export const PINNED_CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIBKDCBz6ADAgECAgEBMAoGCCqGSM49BAMCMBIxEDAOBgNV…\n-----END CERTIFICATE-----\n';
export const ISSUER_PEM = '-----BEGIN CERTIFICATE-----\nMIICPDCCAeKgAwIBAgIUAQBSl9HYcdnGMB+J4xuEDKpMZeIw…\n-----END CERTIFICATE-----\n';
export const ROOT_PEM = '-----BEGIN CERTIFICATE-----\nMIIBqzCCAVCgAwIBAgIUAQBfbLpx2Y56zxJvtoGELKj1SCsw…\n-----END CERTIFICATE-----\n';

/** One page that is the last. */
export const lastPage = (...items: unknown[]) => ({ 'application/json': { items, nextCursor: null } });
