import { expect, test } from 'vitest';
import type * as standingModule from '../../../enclave/membership/standing.ts';
import type { Line } from '../../../enclave/net/line.ts';
import { systemRng } from '../../../enclave/primitives.ts';
import { committee } from '../../../shared/committee.ts';
import { codeOf } from '../../../shared/errors.ts';
import { type PartyId, partyId } from '../../../shared/ids.ts';
import type { MembershipMessage } from '../../../shared/membership/messages.ts';
import type { Membership } from '../../../shared/protocol/machine.ts';
import { mockTrust } from '../../simulator/attested.ts';
import { MemoryStore } from '../../simulator/memory-store.ts';
import { memberships } from '../../simulator/simulation.ts';
import { attackBoth } from '../mutant.ts';

const STANDING = 'enclave/membership/standing.ts';
const [self, liar, honest] = [1, 2, 3].map((id) => partyId(id)) as [PartyId, PartyId, PartyId];
const invalid = new Uint8Array(64);

function lineOf(party: PartyId, of: Membership): Line {
  const spki = new Uint8Array(44).fill(party);
  const node = { identity: of.identities.get(party) ?? new Uint8Array(32), spki };
  const fake: Pick<Line, 'party' | 'tell' | 'admit'> & { node: unknown } = {
    party,
    node,
    tell: () => {},
    admit: () => {},
  };
  return fake as Line;
}

test.each<[string, MembershipMessage]>([
  ['acknowledgements', { kind: 'incarnation-acknowledged', signature: invalid }],
  [
    'clock readings',
    { kind: 'clock-read', reading: { nonce: new Uint8Array(32), timeMs: 0n, signature: invalid } },
  ],
])(
  'standing: a member that floods a node with invalid %s is soon not heard, the others are',
  async (_, message) => {
    const outcome = await attackBoth(
      'standing-forgeries',
      [
        {
          file: STANDING,
          find: 'await this.#forgeries.hear(line.party, this.#monotonicMs(), () => this.#handle(line, message));',
          replace: 'await this.#handle(line, message);',
        },
      ],
      async (load) => {
        const { Standing } = await load<typeof standingModule>(STANDING);
        const real = memberships(committee(4, 1), 'standing').get(self);
        if (real === undefined) throw new Error('no party 1');
        const verified = new Map<PartyId, number>();
        let speaker = self;
        const verify: typeof real.primitives.verify = (...signed) => {
          verified.set(speaker, (verified.get(speaker) ?? 0) + 1);
          return real.primitives.verify(...signed);
        };
        const membership = { ...real, primitives: { ...real.primitives, verify } };
        const standing = await Standing.open(membership, {
          domain: undefined,
          store: new MemoryStore(),
          seal: { receive: async () => {}, onLine: () => {} },
          rng: systemRng,
          log: () => {},
          trust: mockTrust(real.networkId),
          nowMs: Date.now,
          spki: new Uint8Array(44),
          document: async () => new Uint8Array(0),
          lines: () => [],
          isAdmitted: () => true,
          mayEnrol: () => false,
          onChange: () => {},
        });
        const say = async (party: PartyId): Promise<string> => {
          speaker = party;
          return standing.receive(lineOf(party, real), message).then(() => 'heard', codeOf);
        };
        for (let i = 0; i < 100; i++) await say(liar);
        await say(honest);
        expect(verified.get(honest)).toBe(1);
        return (verified.get(liar) ?? 0) > 16;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  },
);
