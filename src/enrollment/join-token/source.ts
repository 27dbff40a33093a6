import { addressMatcher } from '../../core/addresses.ts';

/** Whether an address lies in one of the blocks; no block means anywhere. */
export const sourceAllowed = (source: string, blocks: readonly string[]): boolean => blocks.length === 0 || addressMatcher(blocks)(source);
