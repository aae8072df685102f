import { duplexPair } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { createClient } from '@connectrpc/connect';
import { describe, expect, it } from 'vitest';
import { recallFrom } from '../../../enclave/net/boot-client.ts';
import type * as BootServerFile from '../../../enclave/net/boot-server.ts';
import { Credentials } from '../../../enclave/net/credentials.ts';
import { grpcOver } from '../../../enclave/net/http2.ts';
import { ed25519Signer, nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import { parseUnverifiedDocument } from '../../../shared/attestation/document.ts';
import type { VerifiedNode } from '../../../shared/attestation/node-evidence.ts';
import { type Digest, digest } from '../../../shared/ids.ts';
import { silent } from '../../../shared/log.ts';
import type { Signer } from '../../../shared/primitives.ts';
import { NODE_SCOPE } from '../../../shared/sealing/scope.ts';
import { signStateRecord } from '../../../shared/sealing/state-record.ts';
import { BootService } from '../../../shared/wire/generated/kms/v1/boot_pb.js';
import { boundNsm, mockTrust } from '../../simulator/attested.ts';
import { measurement } from '../../simulator/network.ts';
import { OWNER, parties } from '../../simulator/sealed-network.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const SERVER = 'enclave/net/boot-server.ts';
const owner = parties.get(OWNER)!;
const networkId = digest(`6d6f636b${'12'.repeat(28)}`);
const bootKey = ed25519Signer(systemRng(32));
const share = new Uint8Array(32).fill(9);
/** What holders have read out of their memories. */
const given: Uint8Array[] = [];
const state = signStateRecord(owner, { version: 4, incarnation: 2, digest: digest('ab'.repeat(32)) });

interface Booting {
  readonly node: VerifiedNode;
  readonly document: (nonce: Uint8Array) => Promise<Uint8Array>;
}

/** A process of the owner that has not unsealed. */
async function booting(
  change: { readonly signer?: Signer; readonly network?: Digest; readonly measurement?: number } = {},
): Promise<Booting> {
  const { signer = bootKey, network = networkId, measurement: image = 10 } = change;
  const nsm = await boundNsm(network, { measurement: measurement(image) });
  const credentials = await Credentials.create(owner.signer, nodePrimitives, nsm);
  const identity = owner.signer.publicKey;
  credentials.speakAs({ identity, signer });
  const document = (nonce: Uint8Array): Promise<Uint8Array> => credentials.document(network, nonce);
  const shown = parseUnverifiedDocument(await document(new Uint8Array(32)));
  const { spki } = credentials;
  // As the ingress knows it: the boot key of the configuration, and the TLS key of the connection.
  return { node: { identity, bootKey: bootKey.publicKey, spki, document: shown }, document };
}

type Load = <Module>(file: string) => Promise<Module>;

/** A connection of that process to a holder, after TLS. */
async function connection(load: Load, { node }: Booting): Promise<TLSSocket> {
  const { serveBoot } = await load<typeof BootServerFile>(SERVER);
  const [near, far] = duplexPair();
  serveBoot(OWNER, far as TLSSocket, node, {
    ...{ trust: mockTrust(networkId), hashes: nodePrimitives, rng: systemRng, log: silent },
    recall: async () => {
      given.push(share.slice());
      return { state, shares: [{ scope: NODE_SCOPE, share: given.at(-1)! }] };
    },
    onRecalled: () => {},
  });
  return near as TLSSocket;
}

const real: Load = (file) => import(/* @vite-ignore */ `../../../${file}`);

async function isTold(load: Load, who: Booting, document = who.document): Promise<boolean> {
  const socket = await connection(load, who);
  return recallFrom({ socket, node: who.node }, document).then(
    ({ shares }) => shares.length === 1,
    () => false,
  );
}

async function against(edits: readonly Edit[], name: string, attack: (load: Load) => Promise<boolean>) {
  expect(await attackBoth(name, edits, attack)).toEqual({ withRule: false, withoutRule: true });
}

const verified: Edit = {
  file: SERVER,
  find: "{ kind: 'nonce', nonce: asked },\n            );",
  replace: "{ kind: 'nonce', nonce: asked },\n            ).catch(() => undefined);",
};

describe('attack on a recall', () => {
  it('recall: the owner is told what is kept for it', async () => {
    const who = await booting();
    const socket = await connection(real, who);
    const told = await recallFrom({ socket, node: who.node }, who.document);
    expect(told).toEqual({ state, shares: [{ scope: NODE_SCOPE, share }] });
    expect(socket.destroyed).toBe(true);
  });

  it('recall: without a challenge', () =>
    against(
      [
        {
          file: SERVER,
          find: "if (asked === undefined) throw new KmsError('BAD_INPUT', 'a recall follows a challenge');",
          replace: 'if (asked === undefined) nonce = new Uint8Array(32);',
        },
        { file: SERVER, find: 'const asked = nonce;', replace: 'const asked = nonce ?? new Uint8Array(32);' },
      ],
      'no-challenge',
      async (load) => {
        const who = await booting();
        const client = createClient(
          BootService,
          grpcOver(await connection(load, who), { defaultTimeoutMs: 2_000 }),
        );
        const document = await who.document(new Uint8Array(32));
        return client.recall({ document }).then(
          ({ shares }) => shares.length === 1,
          () => false,
        );
      },
    ));

  it('recall: a document is shown twice, under one nonce', () =>
    against([{ file: SERVER, find: 'nonce = undefined;', replace: '' }], 'nonce-twice', async (load) => {
      const who = await booting();
      const client = createClient(
        BootService,
        grpcOver(await connection(load, who), { defaultTimeoutMs: 2_000 }),
      );
      const document = await who.document((await client.challenge({})).nonce);
      expect((await client.recall({ document })).shares).toHaveLength(1);
      return client.recall({ document }).then(
        () => true,
        () => false,
      );
    }));

  it('recall: a document of an earlier time, with the nonce of that time', () =>
    against([verified], 'old-document', async (load) => {
      const who = await booting();
      const old = await who.document(systemRng(32));
      return isTold(load, who, async () => old);
    }));

  it('recall: an image that is not allowed, another network, another boot key', async () => {
    for (const [name, change] of Object.entries({
      image: { measurement: 20 },
      network: { network: digest(`6d6f636b${'13'.repeat(28)}`) },
      'boot-key': { signer: ed25519Signer(systemRng(32)) },
      'role-primary': { signer: owner.signer },
    })) {
      await against([verified], `recall-${name}`, async (load) => isTold(load, await booting(change)));
    }
  });

  it("recall: another process's document", () =>
    against([verified], 'borrowed-document', async (load) => {
      const [who, other] = [await booting(), await booting()];
      return isTold(load, who, other.document);
    }));
});

describe('a holder that answers a recall with nonsense', () => {
  it('recall: a nonce, a record, a scope or a share of the wrong form is BAD_ENCODING or BAD_INPUT', async () => {
    const { grpcServer } = await import('../../../enclave/net/http2.ts');
    const { ConnectError, Code } = await import('@connectrpc/connect');
    const good = { nonce: new Uint8Array(32), state: new Uint8Array(0), scope: 'node', share };
    const cases = [
      { nonce: new Uint8Array(31) },
      { state: new Uint8Array(5) },
      { scope: 'nodes' },
      { share: new Uint8Array(33) },
    ];
    for (const change of [{}, ...cases]) {
      const answer = { ...good, ...change };
      const [near, far] = duplexPair();
      grpcServer({
        routes: (router) => {
          router.service(BootService, {
            challenge: () => ({ nonce: answer.nonce }),
            recall: () => ({ state: answer.state, shares: [{ scope: answer.scope, share: answer.share }] }),
          });
        },
        ...{ readMaxBytes: 65_536, windowBytes: 65_536, maxConcurrentStreams: 2, maxRequests: 2 },
        refusal: () => new ConnectError('no', Code.ResourceExhausted),
      }).serve(far as TLSSocket);
      const { node } = await booting();
      const told = recallFrom({ socket: near as TLSSocket, node }, async () => new Uint8Array(3));
      const isGood = Object.keys(change).length === 0;
      if (isGood) expect((await told).shares).toHaveLength(1);
      else
        await expect(told).rejects.toMatchObject({ code: expect.stringMatching(/^BAD_(ENCODING|INPUT)$/) });
      expect(near.destroyed).toBe(true);
    }
  });
});

it('recall: the member has the share, and the holder keeps no copy of it when the connection is over', async () => {
  const who = await booting();
  given.length = 0;
  const socket = await connection(real, who);
  const { shares } = await recallFrom({ socket, node: who.node }, who.document);
  expect(shares.map((one) => one.share)).toEqual([share]);
  await expect.poll(() => given).toEqual([new Uint8Array(32)]);
});
