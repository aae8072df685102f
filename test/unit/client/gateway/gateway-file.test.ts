import { describe, expect, test } from 'vitest';
import { decodeGatewayFile, MAX_GATEWAY_FILE_BYTES } from '../../../../client/gateway/gateway-file.ts';
import { codeOf } from '../../../../shared/errors.ts';
import { utf8 } from '../../../../shared/wire/bytes.ts';

const good = {
  format: 1,
  gateway: { chainId: 31337, url: 'http://127.0.0.1:1/', registry: `0x${'Ab'.repeat(20)}` },
  hosts: [
    { chainId: 31338, url: 'http://127.0.0.1:2' },
    { chainId: 31339, url: 'https://host.example/rpc' },
  ],
  coprocessors: ['http://127.0.0.1:3'],
  connectors: ['http://127.0.0.1:4', 'http://127.0.0.1:5'],
};
const decoded = (value: unknown) => decodeGatewayFile(utf8(JSON.stringify(value)));

function code(act: () => unknown): string {
  try {
    act();
    return 'none';
  } catch (error) {
    return codeOf(error);
  }
}

describe('gateway file', () => {
  test('decode: all that is in it', () => {
    expect(decoded(good)).toEqual({
      gateway: { chainId: 31337n, url: 'http://127.0.0.1:1', registry: `0x${'ab'.repeat(20)}` },
      hosts: [
        { chainId: 31338n, url: 'http://127.0.0.1:2' },
        { chainId: 31339n, url: 'https://host.example/rpc' },
      ],
      coprocessors: ['http://127.0.0.1:3'],
      connectors: ['http://127.0.0.1:4', 'http://127.0.0.1:5'],
    });
  });

  test.each<[string, unknown]>([
    ['another format', { ...good, format: 2 }],
    ['no format', { ...good, format: undefined }],
    ['an unknown field', { ...good, more: 1 }],
    ['an unknown field of the gateway', { ...good, gateway: { ...good.gateway, more: 1 } }],
    ['an unknown field of a host', { ...good, hosts: [{ ...good.hosts[0], more: 1 }] }],
    ['no gateway', { ...good, gateway: undefined }],
    ['no registry', { ...good, gateway: { ...good.gateway, registry: '0x12' } }],
    ['no hosts', { ...good, hosts: [] }],
    ['a chain twice', { ...good, hosts: [good.hosts[0], good.hosts[0]] }],
    ['the gateway among the hosts', { ...good, hosts: [{ chainId: 31337, url: 'http://a' }] }],
    ['a chain id that is none', { ...good, hosts: [{ chainId: 0, url: 'http://a' }] }],
    ['a file as URL', { ...good, coprocessors: ['file:///etc/passwd'] }],
    ['a URL with a query', { ...good, coprocessors: ['http://a/?b'] }],
    ['no URL', { ...good, connectors: ['nonsense'] }],
    ['a URL that is no text', { ...good, connectors: [1] }],
    ['no coprocessors', { ...good, coprocessors: [] }],
    ['no connectors', { ...good, connectors: [] }],
    ['too many', { ...good, connectors: Array.from({ length: 65 }, () => 'http://a') }],
    ['a list', []],
    ['null', null],
  ])('decode: refuses %s', (_, value) => {
    expect(code(() => decoded(value))).toBe('BAD_INPUT');
  });

  test('decode: refuses what is no JSON, no UTF-8, or too large', () => {
    expect(code(() => decodeGatewayFile(utf8('{')))).toBe('BAD_INPUT');
    expect(code(() => decodeGatewayFile(Uint8Array.of(0xff)))).toBe('BAD_INPUT');
    expect(code(() => decodeGatewayFile(new Uint8Array(MAX_GATEWAY_FILE_BYTES + 1)))).toBe('TOO_LARGE');
  });
});
