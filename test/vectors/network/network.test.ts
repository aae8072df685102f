import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { nodePrimitives } from '../../../enclave/primitives.ts';
import { digest } from '../../../shared/ids.ts';
import { configurationDigest } from '../../../shared/network/configuration.ts';
import { encodeConfigurations } from '../../../shared/network/configuration-file.ts';
import { encodeGenesis, networkIdOf } from '../../../shared/network/genesis.ts';
import {
  encodeSignedConfiguration,
  governanceStatement,
} from '../../../shared/network/signed-configuration.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { founding, measurement, mockGenesis, operators, signedBy } from '../../simulator/network.ts';

/** Whoever changes one of these makes another network of every genesis there is: a new format, never a new value here. */

const signers = operators(4);
const genesis = mockGenesis(signers, {
  class: 'production',
  gateway: {
    chainId: 31337n,
    registry: new Uint8Array(20).fill(7),
    registryCodeHash: digest('33'.repeat(32)),
    finality: { kind: 'depth', blocks: 12 },
  },
  rpc: { k: 1, endpoints: [{ url: 'https://a.example/', spkiPins: [digest('11'.repeat(32))] }] },
});
const members = [1, 2, 3, 4].map((i) => ({
  identity: new Uint8Array(32).fill(i),
  address: `n${i}.example:443`,
}));
const configuration = founding(genesis, members, {
  measurements: [measurement(10), { ...measurement(20), pcr8: new Uint8Array(48).fill(8) }],
  maxHeadAgeS: 900,
  hosts: [
    {
      chainId: 31338n,
      finality: { kind: 'finalized' },
      maxHeadAgeS: 60,
      rpc: { k: 1, endpoints: [{ url: 'https://b.example/', spkiPins: [digest('22'.repeat(32))] }] },
    },
  ],
  custodians: [digest('55'.repeat(32))],
});
const signed = signedBy(signers.slice(0, 3), configuration, genesis.governance);
const sha256 = (bytes: Uint8Array): string =>
  `${bytes.length} ${createHash('sha256').update(bytes).digest('hex')}`;

test('vectors: genesis, configuration, and what governance signs are frozen', () => {
  expect({
    head: toHex(encodeGenesis(genesis).subarray(0, 42)),
    genesis: sha256(encodeGenesis(genesis)),
    networkId: networkIdOf(nodePrimitives, genesis),
    mockId: networkIdOf(nodePrimitives, mockGenesis(signers)),
    digest: configurationDigest(nodePrimitives, configuration),
    statement: toHex(governanceStatement(nodePrimitives, configuration)),
    signed: sha256(encodeSignedConfiguration(signed)),
    file: sha256(encodeConfigurations([signed])),
  }).toEqual({
    digest: '094c0eec424562dfeafc7e1eb2165ba5f468993c29da55ac76867761f63be19d',
    file: '1824 5afc486862d42062a100f8a8963d89f11296272a1df80933bc22d5ceb1e8a9d9',
    genesis: '307 6910a3bb014113dcdb6512b2ba475738d7b04cf3aef25b122a980c00bfd02b9f',
    head: '01040000007465737400abababababababababababababababababababababababababababababababab',
    mockId: '6d6f636b30e9e7b4ae66af5d848bb16f009c81fa2d8cdefe5ed7c5878ce63190',
    networkId: '6b6d7300191dbed979d4435cf21ad8bb995cd05afb27735f592d96e3d31bcb6b',
    signed: '1815 3945e6c2c2ccfe9891472de28038e7c177e38ef78dca3ac4741f5fe9be90930f',
    statement: 'f2b29751977f1c29c935b46d67f248e457e807531ba28271bb7fc87d0bd21617',
  });
});
