import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KmsError } from '../../../shared/errors.ts';
import { decodeConfigurations, encodeConfigurations } from '../../../shared/network/configuration-file.ts';
import { decodeGenesis, encodeGenesis } from '../../../shared/network/genesis.ts';
import {
  decodeSignedConfiguration,
  encodeSignedConfiguration,
} from '../../../shared/network/signed-configuration.ts';
import { equalBytes } from '../../../shared/wire/bytes.ts';
import { founding, mockGenesis, operators, signedBy } from '../../simulator/network.ts';

const numRuns = Number(process.env.FUZZ_RUNS ?? 150);
const signers = operators(4);
const genesis = mockGenesis(signers);
const members = [1, 2, 3, 4].map((i) => ({
  identity: new Uint8Array(32).fill(i),
  address: `n${i}.example:443`,
}));
const signed = signedBy(signers, founding(genesis, members));

const decoders: readonly {
  readonly name: string;
  readonly code: string;
  readonly valid: Uint8Array;
  readonly recode: (bytes: Uint8Array) => Uint8Array;
}[] = [
  {
    name: 'genesis',
    code: 'BAD_GENESIS',
    valid: encodeGenesis(genesis),
    recode: (bytes) => encodeGenesis(decodeGenesis(bytes)),
  },
  {
    name: 'configuration',
    code: 'BAD_CONFIGURATION',
    valid: encodeSignedConfiguration(signed),
    recode: (bytes) => encodeSignedConfiguration(decodeSignedConfiguration(bytes)),
  },
  {
    name: 'configuration file',
    code: 'BAD_CONFIGURATION',
    valid: encodeConfigurations([signed]),
    recode: (bytes) => encodeConfigurations(decodeConfigurations(bytes)),
  },
];

/** Either these bytes are the one encoding of what they mean, or they are refused with the code. */
function expectStrict({ recode, code }: (typeof decoders)[number], bytes: Uint8Array): void {
  try {
    expect(equalBytes(recode(bytes), bytes)).toBe(true);
  } catch (error) {
    if (!(error instanceof KmsError)) throw error;
    expect(error.code).toBe(code);
  }
}

describe.each(decoders)('$name from anybody', (decoder) => {
  it(`${decoder.name}: random bytes`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => expectStrict(decoder, bytes)),
      { numRuns },
    );
  });

  it(`${decoder.name}: valid bytes with some changed, cut out or put in`, () => {
    const edit = fc.record({
      at: fc.nat(decoder.valid.length),
      remove: fc.nat(8),
      insert: fc.uint8Array({ maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const bytes = [...decoder.valid];
        for (const { at, remove, insert } of edits) bytes.splice(at, remove, ...insert);
        expectStrict(decoder, Uint8Array.from(bytes));
      }),
      { numRuns },
    );
  });
});
