import { describe, expect, test } from 'vitest';
import { type Claim, evidenceFor, permit } from '../../../shared/gateway/policy/claim.ts';
import { decodeClaim, encodeClaim } from '../../../shared/gateway/policy/claim-codec.ts';
import { provenChains, type World, worldOf } from '../../adversary/gateway/world.ts';
import { codeThrown } from '../fhe/fixture.ts';

const cases: readonly (readonly [Claim['kind'], (world: World) => Claim, 1 | 2 | 3])[] = [
  ['public', ({ claim }) => ({ kind: 'public', ...claim }), 1],
  ['user', ({ claim }) => ({ kind: 'user', ...claim }), 2],
  ['transfer', ({ claim }) => ({ kind: 'transfer', ...claim }), 3],
  ['command', ({ claim }) => ({ kind: 'command', ...claim }), 1],
];

describe('claims', () => {
  test.each(cases)('claims: of kind %s are permitted as they came over the wire', (kind, claimOf, of) => {
    const world = worldOf(of);
    const claim = decodeClaim(encodeClaim(claimOf(world)));
    const chains = provenChains(world, evidenceFor(world.context.gateway, claim));
    expect(permit(world.context, chains, claim)).toMatchObject({ kind, blocks: { gateway: 100n } });
  });

  test.each(cases.slice(0, 3))('claims: of kind %s need the host chain', (_, claimOf, of) => {
    const world = worldOf(of);
    const claim = claimOf(world);
    const { gateway } = provenChains(world, evidenceFor(world.context.gateway, claim));
    expect(codeThrown(() => permit(world.context, { gateway }, claim))).toBe('NOT_PROVEN');
  });
});
