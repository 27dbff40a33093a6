/** Exit codes (sysexits where they have one), as help and docs/cli.md tell them. */
export const EXIT = { ok: 0, refused: 1, usage: 64, unavailable: 69, tryAgain: 75, interrupted: 130 } as const;

export const EXIT_MEANINGS: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, 'done'],
  [EXIT.refused, 'refused by the server, or the answer is no'],
  [EXIT.usage, 'wrong use, or a file that cannot be read or written: nothing was sent'],
  [EXIT.unavailable, 'the server was not reached, or is not to be trusted'],
  [EXIT.tryAgain, 'not now: the server is busy or limits requests; the same command may be repeated'],
  [EXIT.interrupted, 'interrupted (Ctrl-C)'],
];

/** HTTP statuses after which the same request may be sent again. */
export const TRY_AGAIN: readonly number[] = [408, 429, 502, 503, 504, 507];
