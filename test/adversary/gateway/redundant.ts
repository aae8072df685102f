/** Checks that another check of the same path makes redundant, and why they stay. */
export const redundant: ReadonlyMap<string, string> = new Map();
