/**
 * Which of Foundry's well-known accounts is whose on the chains of a local network. Each program has its own, so that nobody takes
 * another's nonce. Their keys are public: play money, and no result depends on them.
 */
export const OPERATORS = 4;
export const COPROCESSORS = 3;
/** May bring inputs to host chains. */
export const SUBMITTER = 7;
const FIRST_RELAYER = 8;
export const RELAYERS = 4;
const FIRST_USER = 12;
export const USERS = 2;
/** Up to here they are for whoever plays. */
const FIRST_SENDER = 16;
/** With money on every chain. */
export const LOCAL_ACCOUNTS = 96;

/** @param number from 1 */
export function operatorOf(number: number): number {
  return number - 1;
}

/** @param number from 1 */
export function coprocessorOf(number: number): number {
  return OPERATORS + number - 1;
}

/** @param number from 1 */
export function relayerOf(number: number): number {
  return FIRST_RELAYER + number - 1;
}

/** @param number from 1 */
export function userOf(number: number): number {
  return FIRST_USER + number - 1;
}

/** Posts what a node says. @param party 1..64 */
export function senderOf(party: number): number {
  return FIRST_SENDER + party;
}
