import { decodeAbiParameters, decodeFunctionData, getAbiItem } from 'viem';
import { KmsError } from '../../shared/errors.ts';
import { typedDigest } from '../../shared/gateway/eip712.ts';
import { recoverSigner, SIGNATURE_BYTES } from '../../shared/gateway/signature.ts';
import { concat, toHex } from '../../shared/wire/bytes.ts';
import { keyringAbi } from '../adapter/abi/host.ts';
import type { ChainLogEntry, Hex } from '../adapter/chain-data.ts';
import { bytesOf } from '../adapter/chain-data.ts';
import { callOf, read } from '../adapter/contract.ts';
import { eventOf, eventsBackwards, topicOf } from '../adapter/events.ts';
import type { SendOutcome } from '../adapter/sender.ts';
import type { Attempt } from '../adapter/workshop.ts';
import { domainOf, type HostSide, type RelayerNetwork } from './network.ts';

export const KEY_GENERATION = 1;
export const LIFECYCLE = 5;

const [generationType] = getAbiItem({ abi: keyringAbi, name: 'add' }).inputs;
const [transitionType] = getAbiItem({ abi: keyringAbi, name: 'move' }).inputs;

/**
 * Tells one host chain of a key, or of a key's new state, with the signatures that the nodes gave on the gateway.
 * @param log a CommandActivated of the gateway's Keys
 * @throws {KmsError} BAD_ENCODING; what Chain throws
 */
export async function tellKey(network: RelayerNetwork, host: HostSide, log: ChainLogEntry): Promise<Attempt> {
  const event = eventOf(network.gateway.keys, log);
  if (event?.eventName !== 'CommandActivated') throw new KmsError('BAD_ENCODING', 'no activated command');
  const { id, kind, statement } = event.args;
  if (kind === KEY_GENERATION) return addKey(network, host, id, statement);
  return kind === LIFECYCLE ? moveKey(network, host, id, statement) : 'done';
}

async function addKey(network: RelayerNetwork, host: HostSide, id: bigint, statement: Hex): Promise<Attempt> {
  const { keyring, sender } = host;
  const [made] = decodeAbiParameters([generationType], statement);
  const isAdded = async (): Promise<boolean> => (await read(keyring, 'keys', [made.keyId])).state !== 0;
  if (await isAdded()) return 'done';
  const { keyId, recordDigest, ...rest } = made;
  const typed = { ...rest, keyId: bytesOf(keyId), recordDigest: bytesOf(recordDigest) };
  const digest = typedDigest(domainOf(network), 'KeyGeneration', typed);
  const signatures = await signaturesOf(network, host, id, statement, digest, made.epoch);
  return outcomeOf(await sender.send(`add-${id}`, callOf(keyring, 'add', [made, signatures]), isAdded));
}

async function moveKey(
  network: RelayerNetwork,
  host: HostSide,
  id: bigint,
  statement: Hex,
): Promise<Attempt> {
  const { keyring, sender } = host;
  const [moved] = decodeAbiParameters([transitionType], statement);
  const isMoved = async (): Promise<boolean> => {
    const { state, commandId } = await read(keyring, 'keys', [moved.keyId]);
    return state !== 0 && commandId >= moved.commandId;
  };
  if (await isMoved()) return 'done';
  const digest = typedDigest(domainOf(network), 'LifecycleTransition', {
    ...moved,
    keyId: bytesOf(moved.keyId),
  });
  const signatures = await signaturesOf(network, host, id, statement, digest, moved.epoch);
  return outcomeOf(await sender.send(`move-${id}`, callOf(keyring, 'move', [moved, signatures]), isMoved));
}

/** The transition before it, or the committee, may have to come first. */
function outcomeOf({ kind }: SendOutcome): Attempt {
  return kind === 'refused' ? { later: [] } : 'done';
}

/** All signatures over a statement that members of the verifier's epoch gave in whatever transactions, one for each. */
async function signaturesOf(
  { gateway }: RelayerNetwork,
  { verifier }: HostSide,
  id: bigint,
  statement: Hex,
  digest: Uint8Array,
  epoch: bigint,
): Promise<Hex> {
  const { keys, chain, startBlock } = gateway;
  const word: Hex = `0x${id.toString(16).padStart(64, '0')}`;
  const topics = [topicOf(keys.abi, 'CommandResponse'), word];
  const bySigner = new Map<string, Uint8Array>();
  const seen = new Set<Hex>();
  for await (const logs of eventsBackwards(chain, keys.address, topics, startBlock)) {
    for (const { transactionHash } of logs) {
      if (seen.has(transactionHash)) continue;
      seen.add(transactionHash);
      const transaction = await chain.transaction(transactionHash);
      if (transaction?.to !== keys.address) continue;
      for (const signature of signaturesIn(transaction.input, statement)) {
        bySigner.set(toHex(recoverSigner(digest, signature)), signature);
      }
    }
  }
  const known: Uint8Array[] = [];
  for (const [signer, signature] of bySigner) {
    // A verifier refuses a list with a stranger's signature in it.
    if ((await read(verifier, 'partyOfSigner', [epoch, `0x${signer}`])) !== 0) known.push(signature);
  }
  return `0x${toHex(concat(...known))}`;

  function signaturesIn(input: Hex, of: Hex): readonly Uint8Array[] {
    const call = decodeFunctionData({ abi: keys.abi, data: input });
    if (call.functionName !== 'respond' || call.args[1].toLowerCase() !== of.toLowerCase()) return [];
    const packed = bytesOf(call.args[2]);
    return Array.from({ length: packed.length / SIGNATURE_BYTES }, (_, i) =>
      packed.subarray(SIGNATURE_BYTES * i, SIGNATURE_BYTES * (i + 1)),
    );
  }
}
