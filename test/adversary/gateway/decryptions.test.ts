import { describe, expect, test } from 'vitest';
import { EVERYBODY } from '../../../shared/gateway/policy/request.ts';
import {
  accessSlot,
  factsSlot,
  oracleSlot,
  permitNonceSlot,
  remoteAccessSlot,
} from '../../../shared/gateway/slots.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { codeThrown } from '../../unit/fhe/fixture.ts';
import {
  asked,
  type Change,
  codeOf,
  handleOf,
  onGateway,
  onHost,
  permit,
  permits,
  refer,
  replaceHandle,
} from './changes.ts';
import {
  APPLICATION,
  account,
  claimedOf,
  contracts,
  derivationsOf,
  factsOf,
  HOST,
  host,
  KEY,
  NOW,
  OTHER_HOST,
  recommit,
  some,
  USER,
  type World,
  worldOf,
  write,
} from './world.ts';

describe('public decryption', () => {
  const accessOf = (i: number, who: Uint8Array) => (world: World) => accessSlot(handleOf(world, i), who);

  test.each([0, 1])('public decryption: handle %i is not public', (i) => {
    expect(codeOf(1, onHost(host.accessControl, accessOf(i, EVERYBODY), 0n))).toBe('NOT_PERMITTED');
    const consumer = onHost(host.accessControl, accessOf(i, APPLICATION), 3n);
    expect(codeOf(1, onHost(host.accessControl, accessOf(i, EVERYBODY), 4n), consumer)).toBe('NOT_PERMITTED');
  });

  test('public decryption: the statement is for one consumer, verifier and request of one chain', () => {
    const world = worldOf(1);
    const { claim } = world;
    expect(permit(1, world)).toMatchObject({
      statement: {
        verifier: host.verifier,
        consumer: APPLICATION,
        hostRequest: claim.request.reference,
        keyState: 2,
        handles: claim.request.handles,
      },
    });
  });

  const askedOf =
    (change: Partial<NonNullable<World['claim']['oracleRequest']>>): Change =>
    ({ claim }) => {
      claim.oracleRequest = { ...claim.oracleRequest!, ...change };
    };

  test.each<[string, string, Change]>([
    ["without the oracle's request", 'NOT_PROVEN', ({ claim }) => void delete claim.oracleRequest],
    ['with a request that the oracle does not have', 'NOT_PROVEN', askedOf({ reward: 1n })],
    [
      'with other code of the oracle',
      'NOT_PROVEN',
      ({ states }) => {
        states.host.contracts.get(toHex(host.oracle))!.codeHash = some('other');
      },
    ],
    ['that the oracle has forgotten', 'NOT_PROVEN', onHost(host.oracle, () => oracleSlot(4n), 0n)],
    ['with a reference to another request', 'NOT_PERMITTED', asked({ reference: some('other') })],
  ])('public decryption: %s', (_, code, change) => {
    expect(codeOf(1, change)).toBe(code);
  });

  /** Both chains agree on a request whose fields are not those of the oracle's. */
  test.each<[string, Change]>([
    ['consumer', askedOf({ consumer: account('other') })],
    ['key', askedOf({ keyId: some('other key') })],
    ['handles', askedOf({ handles: [some('h')] })],
    ['number of handles', (world) => askedOf({ handles: world.claim.request.handles.slice(0, 1) })(world)],
    ['order of handles', (world) => askedOf({ handles: world.claim.request.handles.toReversed() })(world)],
  ])("public decryption: a relayer's request with another %s than the contract's", (_, change) => {
    expect(codeOf(1, change, (world) => recommit(world), refer)).toBe('NOT_PERMITTED');
  });

  test('public decryption: nobody has to have asked for what is public', () => {
    const world = worldOf(1);
    delete world.claim.oracleRequest;
    asked({ reference: new Uint8Array(32) })(world);
    expect(permit(1, world)).toMatchObject({ statement: { hostRequest: new Uint8Array(32) } });
  });
});

describe('user decryption', () => {
  const access = (i: number, who: Uint8Array, value: bigint): Change =>
    onHost(host.accessControl, (world) => accessSlot(handleOf(world, i), who), value);

  test.each<[string, string, Change]>([
    ['a handle that the user may not use', 'NOT_PERMITTED', access(1, USER, 0n)],
    ['a handle that was taken back from the user', 'NOT_PERMITTED', access(0, USER, 4n)],
    ['a handle that the application may not use', 'NOT_PERMITTED', access(1, APPLICATION, 0n)],
    ['a handle that was taken back from the application', 'NOT_PERMITTED', access(0, APPLICATION, 4n)],
    [
      'another permit',
      'NOT_PROVEN',
      ({ claim }) => {
        claim.permit = { ...claim.permit, validUntil: NOW + 300n };
      },
    ],
    ['a permit of another network', 'NOT_PROVEN', asked({ reference: some('digest under another domain') })],
    ["another user's permit", 'NOT_PERMITTED', permits({ user: APPLICATION, nonce: 0n })],
    ['a permit for another key', 'NOT_PERMITTED', permits({ publicKeyHash: some('thief') })],
    ['a permit for another chain', 'NOT_PERMITTED', permits({ hostChainId: OTHER_HOST })],
    ['a permit that nobody signed', 'NOT_PERMITTED', asked({ signedBy: 0 })],
    ['a permit for another delegate', 'NOT_PERMITTED', permits({ delegate: account('delegate') })],
    ['a permit that is over', 'NOT_PERMITTED', permits({ validUntil: NOW - 1n })],
    ['a permit of the future', 'NOT_PERMITTED', permits({ validFrom: NOW + 1n })],
    ['a revoked permit', 'NOT_PERMITTED', onGateway(contracts.decryptions, permitNonceSlot(USER), 8n)],
  ])('user decryption: %s', (_, code, change) => {
    expect(codeOf(2, change)).toBe(code);
  });

  test.each<[string, Change]>([
    ['its delegate asks', permits({ delegate: account('relayer') })],
    ['a contract wallet vouched', asked({ signedBy: 2 })],
    ['it is the first second', permits({ validFrom: NOW })],
    ['it is the last second', permits({ validUntil: NOW })],
    [
      'handles are public',
      (world) => {
        for (const i of [0, 1]) {
          for (const who of [USER, APPLICATION]) access(i, who, 0n)(world);
          access(i, EVERYBODY, 3n)(world);
        }
      },
    ],
  ])('user decryption: permitted when %s', (_, change) => {
    expect(codeOf(2, change)).toBe('nothing thrown');
  });

  test('user decryption: the share is for the user and its key, until permit or request end', () => {
    const world = worldOf(2);
    expect(permit(2, world)).toMatchObject({
      expiresAt: NOW + 200n,
      publicKeyHash: some('X-Wing'),
      statement: {
        user: USER,
        publicKeyHash: some('X-Wing'),
        handles: world.claim.request.handles,
        keyState: 2,
      },
    });
    asked({ expiresAt: NOW + 10n })(world);
    expect(permit(2, world)).toMatchObject({ expiresAt: NOW + 10n });
  });

  test('user decryption: a revocation that a newer head shows is not undone by an older one', () => {
    const world = worldOf(2);
    expect(permit(2, world).blocks.host).toBe(200n);
    world.context.heads.set(HOST, { newest: 210n, accepted: 201n });
    expect(codeThrown(() => permit(2, world))).toBe('STALE_HEAD');
  });
});

describe('transfer', () => {
  test('transfer: the statement is complete', () => {
    const world = worldOf(3);
    expect(permit(3, world)).toMatchObject({
      statement: {
        requestId: 12n,
        handle: handleOf(world, 0),
        originChainId: HOST,
        destinationChainId: OTHER_HOST,
        account: account('account there'),
        keyId: KEY,
        kind: 1,
        level: 3,
        bound: 3920608n,
        epoch: 6n,
      },
    });
  });

  const there = (world: World): Uint8Array =>
    remoteAccessSlot(handleOf(world, 0), OTHER_HOST, account('account there'));

  test.each<[string, string, Change]>([
    ['a grant that was never given', 'NOT_PERMITTED', onHost(host.accessControl, there, 0n)],
    ['a grant that was taken back', 'NOT_PERMITTED', onHost(host.accessControl, there, 6n)],
    ['a grant to another account', 'NOT_PERMITTED', asked({ consumer: account('thief') })],
    [
      'a grant for another chain',
      'NOT_PERMITTED',
      (world) => asked({ reference: world.claim.request.publicKeyHash })(world),
    ],
    [
      'two handles',
      'NOT_PERMITTED',
      (world) => {
        const second = claimedOf(derivationsOf(HOST)[1]!, 1);
        world.claim.ciphertexts.push(second);
        write(
          world.states.host,
          host.compute,
          factsSlot(second.ciphertext.handle),
          factsOf(second.ciphertext),
        );
        asked({ handles: world.claim.ciphertexts.map(({ ciphertext }) => ciphertext.handle) })(world);
      },
    ],
    [
      'a handle that came from elsewhere itself',
      'NOT_PERMITTED',
      (world) => {
        world.claim.ciphertexts[0] = claimedOf(derivationsOf(OTHER_HOST)[1]!, 1);
        replaceHandle(world);
        onHost(host.accessControl, there, 3n)(world);
      },
    ],
  ])('transfer: %s', (_, code, change) => {
    expect(codeOf(3, change)).toBe(code);
  });
});
