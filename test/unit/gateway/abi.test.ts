import { type Abi, toEventSelector, toFunctionSelector } from 'viem';
import { formatAbiItem } from 'viem/utils';
import { expect, test } from 'vitest';
import {
  ciphertextsAbi,
  decryptionsAbi,
  keysAbi,
  registryAbi,
} from '../../../gateway/adapter/abi/gateway.ts';
import {
  accessControlAbi,
  computeAbi,
  keyringAbi,
  oracleAbi,
  verifierAbi,
} from '../../../gateway/adapter/abi/host.ts';
import { contracts } from '../../../infra/build/contracts.ts';

/** Names, types, field names, what is indexed and what is returned: as the compiler says, without the names of its types. */
function shapeOf(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shapeOf);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => name !== 'internalType' && name !== 'anonymous');
  return Object.fromEntries(
    entries
      .filter(
        ([name, field]) => !(name === 'indexed' && field === false) && !(name === 'name' && field === ''),
      )
      .map(([name, field]) => [name, shapeOf(field)]),
  );
}

test.each<[string, Abi]>([
  ['Decryptions', decryptionsAbi],
  ['Keys', keysAbi],
  ['Registry', registryAbi],
  ['Ciphertexts', ciphertextsAbi],
  ['DecryptionOracle', oracleAbi],
  ['Compute', computeAbi],
  ['AccessControl', accessControlAbi],
  ['Keyring', keyringAbi],
  ['KmsVerifier', verifierAbi],
])("abi: of %s, each item is the compiler's", (name, abi) => {
  const compiled = contracts().find((contract) => contract.name === name)!;
  for (const item of abi) {
    if (item.type !== 'event' && item.type !== 'function') throw new Error(`unexpected ${item.type}`);
    const same = compiled.abi.find((one) => one.type === item.type && one.name === item.name);
    expect(shapeOf(item), formatAbiItem(item as never)).toEqual(shapeOf(same));
    if (item.type === 'event') expect(toEventSelector(item)).toBe(toEventSelector(same as typeof item));
    else expect(toFunctionSelector(item)).toBe(toFunctionSelector(same as typeof item));
  }
});
