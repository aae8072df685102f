import {
  evidenceForPublicDecryption,
  evidenceForTransfer,
  evidenceForUserDecryption,
  type NeededSlots,
} from '../../../shared/gateway/policy/needed-slots.ts';
import { permitPublicDecryption } from '../../../shared/gateway/policy/public-decryption.ts';
import { EVERYBODY, type RequestPermission } from '../../../shared/gateway/policy/request.ts';
import { permitTransfer } from '../../../shared/gateway/policy/transfer.ts';
import { permitUserDecryption } from '../../../shared/gateway/policy/user-decryption.ts';
import { accessSlot, factsSlot, oracleSlot } from '../../../shared/gateway/slots.ts';
import { word } from '../../../shared/gateway/word.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { codeThrown } from '../../unit/fhe/fixture.ts';
import {
  APPLICATION,
  factsOf,
  host,
  permitDigest,
  provenChains,
  recommit,
  USER,
  type World,
  worldOf,
  write,
} from './world.ts';

/** One thing is wrong in a world where everything else is right: removing the check that refuses it makes a test fail. */

export const needed: Readonly<Record<1 | 2 | 3, (world: World) => readonly NeededSlots[]>> = {
  1: ({ context, claim }) => evidenceForPublicDecryption(context.gateway, claim),
  2: ({ context, claim }) => evidenceForUserDecryption(context.gateway, claim),
  3: ({ context, claim }) => evidenceForTransfer(context.gateway, claim),
};

export function permit(kind: 1 | 2 | 3, world: World, slots = needed[kind](world)): RequestPermission {
  const { context, claim } = world;
  const chains = provenChains(world, slots);
  if (kind === 1) return permitPublicDecryption(context, chains, claim);
  return kind === 2 ? permitUserDecryption(context, chains, claim) : permitTransfer(context, chains, claim);
}

export type Change = (world: World) => void;

export function codeOf(kind: 1 | 2 | 3, ...changes: readonly Change[]): string {
  const world = worldOf(kind);
  for (const change of changes) change(world);
  return codeThrown(() => permit(kind, world));
}

/** The chain holds the request as it is changed here. */
export const asked =
  (change: Partial<World['claim']['request']>): Change =>
  (world) => {
    world.claim.request = { ...world.claim.request, ...change };
    recommit(world);
  };

export const permits =
  (change: Partial<World['claim']['permit']>): Change =>
  (world) => {
    world.claim.permit = { ...world.claim.permit, ...change };
    asked({ reference: permitDigest(world.claim.permit) })(world);
  };

/** The coprocessors committed another ciphertext for a handle, by majority. */
export const committed =
  (change: Partial<World['claim']['ciphertexts'][number]['ciphertext']>, i = 0): Change =>
  (world) => {
    const claimed = world.claim.ciphertexts[i]!;
    world.claim.ciphertexts[i] = { ...claimed, ciphertext: { ...claimed.ciphertext, ...change } };
    recommit(world);
  };

export const onGateway =
  (address: Uint8Array, slot: Uint8Array, value: bigint): Change =>
  ({ states }) =>
    write(states.gateway, address, slot, value);

export const onHost =
  (address: Uint8Array, slot: (world: World) => Uint8Array, value: bigint): Change =>
  (world) =>
    write(world.states.host, address, slot(world), value);

export const handleOf = ({ claim }: World, i: number): Uint8Array => claim.request.handles[i]!;
export const keyState = (state: number, preset = 2, destroyedBy = 0n): bigint =>
  BigInt(state) | (BigInt(preset) << 8n) | (1n << 16n) | (destroyedBy << 80n);

/** The first handle is that of the first ciphertext now, with all it had. */
export function replaceHandle(world: World): void {
  const { states, claim } = world;
  const { ciphertext } = claim.ciphertexts[0]!;
  const { handle } = ciphertext;
  claim.request = { ...claim.request, handles: [handle, ...claim.request.handles.slice(1)] };
  write(states.host, host.compute, factsSlot(handle), factsOf(ciphertext));
  for (const who of [EVERYBODY, USER, APPLICATION]) {
    write(states.host, host.accessControl, accessSlot(handle, who), 3n);
  }
  recommit(world);
}

/** The gateway's request refers to the oracle's as it is now. */
export function refer(world: World): void {
  const { states, claim } = world;
  const slot = states.host.contracts.get(toHex(host.oracle))?.words.get(toHex(oracleSlot(4n))) ?? 0n;
  claim.request = { ...claim.request, reference: word(slot) };
  recommit(world);
}
