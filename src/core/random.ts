import { randomFillSync } from 'node:crypto';

/** Where chance comes from: a CSPRNG in production, a fixed stream in byte-exact tests. */
export interface Random {
  /** `length` random octets. */
  bytes(length: number): Uint8Array;
}

/** Octets are drawn from the kernel's generator 4 KiB at a time: a call per serial costs more than the serial. */
const POOL_BYTES = 4096;

export function createSystemRandom(): Random {
  let pool = Buffer.alloc(0);
  let used = 0;
  return {
    bytes(length) {
      if (length > POOL_BYTES / 4) return randomFillSync(Buffer.allocUnsafeSlow(length));
      if (used + length > pool.length) {
        pool = randomFillSync(Buffer.allocUnsafeSlow(POOL_BYTES));
        used = 0;
      }
      const out = Uint8Array.prototype.slice.call(pool, used, used + length);
      pool.fill(0, used, used + length);
      used += length;
      return out;
    },
  };
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** A ULID (26 characters, Crockford base 32): 48 bits of milliseconds, 80 random bits. Ids are never reused (DESIGN §6). */
export function ulid(now: Date, random: Random): string {
  let time = now.getTime();
  let head = '';
  for (let i = 0; i < 10; i++) {
    head = CROCKFORD.charAt(time % 32) + head;
    time = Math.floor(time / 32);
  }
  let tail = '';
  let bits = 0;
  let held = 0;
  for (const byte of random.bytes(10)) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      tail += CROCKFORD.charAt((held >>> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return head + tail;
}

export const ULID_PATTERN = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;
