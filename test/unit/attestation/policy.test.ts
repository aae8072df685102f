import { beforeAll, describe, expect, it } from 'vitest';
import { type AttestationDocument, parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import { networkPcr } from '../../../shared/attestation/pcr.ts';
import { type AttestationPolicy, type PolicyFault, policyFault } from '../../../shared/attestation/policy.ts';
import { nodeUserData } from '../../../shared/attestation/user-data.ts';
import { digest } from '../../../shared/ids.ts';
import { noble } from '../../../shared/noble.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { bound, ForgedModule, goodPolicy, measurement, NOW_MS, networkId, pcrs, sha384 } from './forge.ts';

let module: ForgedModule;
let document: AttestationDocument;
let policy: AttestationPolicy;
beforeAll(async () => {
  module = await ForgedModule.make();
  document = parseUnverifiedDocument(await module.document());
  policy = goodPolicy(module);
});

const register = (index: number, value: Uint8Array): Pick<AttestationDocument, 'pcrs'> => ({
  pcrs: new Map([...pcrs, [index, value]]),
});

describe('policy fault', () => {
  it('policy fault: none for a good document, also with nothing expected of its fields', async () => {
    expect(await policyFault(document, module.pinned, policy, NOW_MS)).toBeUndefined();
    const anything = { networkId: 'unchecked', publicKey: 'unchecked', userData: 'unchecked' } as const;
    expect(await policyFault(document, module.pinned, { ...policy, ...anything }, NOW_MS)).toBeUndefined();
  });

  it.each<[PolicyFault, Partial<AttestationDocument>]>([
    ['debug', register(0, new Uint8Array(48))],
    ['debug', register(1, new Uint8Array(48))],
    ['debug', register(2, new Uint8Array(48))],
    ['debug', { pcrs: new Map([...pcrs].slice(1)) }],
    ['measurement', register(0, new Uint8Array(48).fill(9))],
    ['measurement', register(1, new Uint8Array(48).fill(9))],
    ['measurement', register(2, new Uint8Array(48).fill(9))],
    ['network', register(16, new Uint8Array(48))],
    ['network', { pcrs: new Map([...pcrs].slice(0, -1)) }],
    ['nonce', { nonce: new Uint8Array(32) }],
    ['nonce', { nonce: undefined }],
    ['from-the-future', { timestampMs: NOW_MS + 60_001 }],
    ['public-key', { publicKey: new Uint8Array(91) }],
    ['public-key', { publicKey: undefined }],
    ['user-data', { userData: new Uint8Array(32) }],
    ['user-data', { userData: undefined }],
  ])('policy fault: one deviation is %s', async (fault, change) => {
    expect(await policyFault({ ...document, ...change }, module.pinned, policy, NOW_MS)).toBe(fault);
  });

  it('policy fault: stale, root class and PCR8 have their own reasons', async () => {
    const age = { ...policy, freshness: { kind: 'age', maxAgeMs: 1000 } } as const;
    expect(await policyFault(document, module.pinned, age, NOW_MS + 1001)).toBe('stale');
    const mock = { ...module.pinned, class: 'mock' } as const;
    expect(await policyFault(document, mock, policy, NOW_MS)).toBe('root-class');
    const signed = { ...policy, measurements: [{ ...measurement, pcr8: new Uint8Array(48).fill(1) }] };
    expect(await policyFault(document, module.pinned, signed, NOW_MS)).toBe('measurement');
  });
});

describe('bindings', () => {
  it('bindings: PCR16 is the extension of zeros by the network id', async () => {
    const raw = Buffer.from(networkId, 'hex');
    expect(await networkPcr(networkId)).toEqual(sha384(new Uint8Array(48), raw));
  });

  it('bindings: user data changes with network, identity and role', () => {
    const node = { networkId, identity: new Uint8Array(32).fill(1), role: 'primary' } as const;
    const all = [
      node,
      { ...node, networkId: digest('00'.repeat(32)) },
      { ...node, identity: new Uint8Array(32).fill(2) },
      { ...node, role: 'replica' } as const,
    ].map((of) => toHex(nodeUserData(noble, of)));
    expect(new Set(all).size).toBe(all.length);
    expect(all[0]).toHaveLength(64);
    expect(toHex(nodeUserData(noble, node))).toBe(all[0]);
  });

  it('bindings: what the forged documents bind is what the policy of these tests expects', () => {
    expect(document).toMatchObject(bound);
  });
});
