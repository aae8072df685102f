/**
 * Which of Foundry's well-known accounts is whose on the chains of a local network. Each program has its own, so that nobody takes
 * another's nonce. Their keys are public: play money, and no result depends on them.
 */
export const OPERATORS = 4;
export const COPROCESSORS = 3;
/** May bring inputs to host chains. */
export const SUBMITTER = 7;
/** Up to here they are for whoever plays: users, relayers. */
const FIRST_SENDER = 16;
/** With money on every chain. */
export const LOCAL_ACCOUNTS = 96;

/** Posts what a node says. @param party 1..64 */
export function senderOf(party: number): number {
  return FIRST_SENDER + party;
}
