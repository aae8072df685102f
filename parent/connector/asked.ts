import type { DecodeEventLogReturnType } from 'viem';
import type { decryptionsAbi, keysAbi } from '../../gateway/adapter/abi/gateway.ts';
import { bytesOf, type ChainLogEntry } from '../../gateway/adapter/chain-data.ts';
import { eventOf } from '../../gateway/adapter/events.ts';
import type { GatewayContracts } from '../../gateway/adapter/network-contracts.ts';
import type { GatewayCommand, GatewayRequest } from '../../shared/gateway/commitments.ts';

/** A request as the contracts take it back with its answer. */
export type RequestArgs = DecodeEventLogReturnType<
  typeof decryptionsAbi,
  'PublicDecryptionRequested'
>['args']['request'];
export type CommandArgs = DecodeEventLogReturnType<typeof keysAbi, 'CommandRequested'>['args']['command'];

/** What somebody asks of the committee on the gateway. */
export type Asked =
  | {
      readonly kind: 'public' | 'user' | 'transfer';
      readonly args: RequestArgs;
      readonly request: GatewayRequest;
      readonly log: ChainLogEntry;
    }
  | {
      readonly kind: 'command';
      readonly args: CommandArgs;
      readonly command: GatewayCommand;
      readonly log: ChainLogEntry;
    };

export type AskedRequest = Exclude<Asked, { readonly kind: 'command' }>;
export type AskedCommand = Extract<Asked, { readonly kind: 'command' }>;

/** @returns undefined for a log that asks nothing @throws {KmsError} BAD_ENCODING */
export function askedIn(gateway: GatewayContracts, log: ChainLogEntry): Asked | undefined {
  const event = eventOf(gateway.decryptions, log);
  switch (event?.eventName) {
    case 'PublicDecryptionRequested':
      return { kind: 'public', args: event.args.request, request: requestOf(event.args.request), log };
    case 'UserDecryptionRequested':
      return { kind: 'user', args: event.args.request, request: requestOf(event.args.request), log };
    case 'HandleTransferRequested':
      return { kind: 'transfer', args: event.args.request, request: requestOf(event.args.request), log };
  }
  const command = eventOf(gateway.keys, log);
  if (command?.eventName !== 'CommandRequested') return undefined;
  const args = command.args.command;
  return { kind: 'command', args, command: { ...args, payload: bytesOf(args.payload) }, log };
}

/** Name of its work. The block tells apart what has one number on chains that were reorganised. */
export function askedKey(asked: Asked): string {
  const name = asked.kind === 'command' ? 'command' : 'request';
  return `${name}-${asked.args.id}-${asked.log.blockHash.slice(2)}`;
}

function requestOf({ reference_, ...r }: RequestArgs): GatewayRequest {
  return {
    id: r.id,
    kind: r.kind,
    hostChainId: r.hostChainId,
    verifier: bytesOf(r.verifier),
    consumer: bytesOf(r.consumer),
    reference: bytesOf(reference_),
    publicKeyHash: bytesOf(r.publicKeyHash),
    keyId: bytesOf(r.keyId),
    keyState: r.keyState,
    signedBy: r.signedBy,
    payer: bytesOf(r.payer),
    fee: r.fee,
    requestedAt: r.requestedAt,
    expiresAt: r.expiresAt,
    handles: r.handles.map(bytesOf),
  };
}
