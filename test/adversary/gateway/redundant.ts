/** Checks that another check of the same path makes redundant, and why they stay. */
export const redundant: ReadonlyMap<string, string> = new Map([
  [
    'gateway/Ciphertexts.sol: c.kind == Handles.kindOf(c.handle)',
    'the handle is derived again from provenance, chain and kind just after; this one says what is wrong at a glance',
  ],
]);
