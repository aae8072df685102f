import { presetByName } from '../../shared/fhe/presets.ts';
import type { TypedDomain } from '../../shared/gateway/eip712.ts';
import type { KnownKey } from '../../shared/gateway/policy/context.ts';
import type { KeyId, PartyId } from '../../shared/ids.ts';
import type { GatewayAnchor } from '../../shared/network/genesis.ts';
import { type Membership, peersOf } from '../../shared/protocol/machine.ts';
import { peerMessage } from '../../shared/protocol/peer-message.ts';
import { encode } from '../../shared/wire/codec.ts';
import type { Ceremonies } from '../ceremonies.ts';
import type { AgreedHeads } from '../chains/agreed-heads.ts';
import type { DecryptionDesk } from '../decryption-desk.ts';
import type { KeyRing } from '../key-ring.ts';
import type { ResultSigner } from '../membership/result-signer.ts';
import type { SealedStore } from '../store/sealed-store.ts';
import type { StateVersion } from '../store/versioned-store.ts';
import { AnchorDesk } from './anchor-desk.ts';
import { Authority } from './authority.ts';
import { BatchDesk } from './batch-desk.ts';
import { CommandDesk } from './command-desk.ts';
import { GatewayDesk } from './gateway-desk.ts';
import { KeyStates } from './key-states.ts';
import { SaidStatements } from './said-statements.ts';
import { SignaturePool, type SignedWord } from './signature-pool.ts';

/** A network's contracts, as far as its genesis and this enclave know them. */
export interface Gateway {
  readonly anchor: GatewayAnchor;
  readonly domain: TypedDomain;
  readonly heads: AgreedHeads;
}

export interface GatewayWorkParts {
  readonly membership: Membership;
  readonly gateway: Gateway;
  readonly keys: KeyRing;
  readonly ceremonies: Ceremonies;
  readonly desk: DecryptionDesk;
  readonly signer: ResultSigner;
  readonly signerOf: (party: PartyId) => Promise<Uint8Array | undefined>;
  /** Tier 2. */
  readonly store: SealedStore;
  readonly inEffect: () => StateVersion | undefined;
  readonly nowMs: () => number;
  readonly send: (to: PartyId, payload: Uint8Array) => void;
}

/** What a node of a network with a gateway works with: nothing is done that the chain does not show. */
export interface GatewayWork {
  readonly answers: GatewayDesk;
  readonly commands: CommandDesk;
  readonly batches: BatchDesk;
  readonly anchor: AnchorDesk;
  readonly pool: SignaturePool;
}

/** For the other members' signatures, once this node has its own. */
const WAIT_MS = 10_000;
/** For their signatures over a batch: its results can be posted one by one, which is not worth a longer wait. */
const BATCH_WAIT_MS = 2_000;

export function gatewayWork(parts: GatewayWorkParts): GatewayWork {
  const { membership, gateway, keys, ceremonies, desk, signer, signerOf, store, inEffect, nowMs, send } =
    parts;
  const { networkId, epoch, self } = membership;
  const { anchor, domain, heads } = gateway;
  const states = new KeyStates(store);
  const authority = new Authority({
    ...{ networkId, epoch, heads, nowMs, gateway: anchor },
    keys: () => knownKeys(keys, states),
  });
  const sendWord = (to: PartyId, topic: Uint8Array, word: SignedWord, asks: boolean): void =>
    send(to, encode(peerMessage, { kind: 'result-word', topic, ...word, asks }));
  const pool = new SignaturePool({
    ...{ self, peers: peersOf(membership), signerOf, nowMs },
    send: sendWord,
  });
  const batches = new BatchDesk({
    ...{ membership, domain, signer, pool, nowMs, waitMs: BATCH_WAIT_MS },
    propose: (to, leaves) => send(to, encode(peerMessage, { kind: 'result-batch', leaves })),
    tell: (to, topic, word) => sendWord(to, topic, word, false),
  });
  return {
    answers: new GatewayDesk({
      ...{ membership, domain, authority, desk, signer, pool, waitMs: WAIT_MS },
      onResult: (statement) => batches.said(statement),
    }),
    commands: new CommandDesk({
      ...{ domain, authority, ceremonies, states, signer, said: new SaidStatements(store) },
      recordDigest: (key) => keys.recordDigest(key),
    }),
    batches,
    anchor: new AnchorDesk({ membership, domain, signer, inEffect }),
    pool,
  };
}

/** Keys of which this node holds a share. */
async function knownKeys(keys: KeyRing, states: KeyStates): Promise<ReadonlyMap<KeyId, KnownKey>> {
  const held = keys.held();
  const known = held.map(async ({ key, preset }) => {
    return [key, { preset: presetByName(preset), state: await states.of(key) }] as const;
  });
  return new Map(await Promise.all(known));
}
