import { KmsError } from '../../errors.ts';
import type { ProvenChain } from '../proof/proven-chain.ts';
import { type CommandClaim, type CommandPermission, permitCommand } from './command.ts';
import type { PolicyContext, TrustedGateway } from './context.ts';
import {
  evidenceForCommand,
  evidenceForPublicDecryption,
  evidenceForTransfer,
  evidenceForUserDecryption,
  type NeededSlots,
} from './needed-slots.ts';
import {
  type PublicDecryptionClaim,
  type PublicDecryptionPermission,
  permitPublicDecryption,
} from './public-decryption.ts';
import type { ProvenChains, RequestClaim } from './request.ts';
import { permitTransfer, type TransferPermission } from './transfer.ts';
import {
  permitUserDecryption,
  type UserDecryptionClaim,
  type UserDecryptionPermission,
} from './user-decryption.ts';

/** What a connector hands to an enclave beside the evidence: all the fields, whose hashes the evidence proves. */
export type Claim =
  | ({ readonly kind: 'public' } & PublicDecryptionClaim)
  | ({ readonly kind: 'user' } & UserDecryptionClaim)
  | ({ readonly kind: 'transfer' } & RequestClaim)
  | ({ readonly kind: 'command' } & CommandClaim);

export type Permission =
  | ({ readonly kind: 'public' } & PublicDecryptionPermission)
  | ({ readonly kind: 'user' } & UserDecryptionPermission)
  | ({ readonly kind: 'transfer' } & TransferPermission)
  | ({ readonly kind: 'command' } & CommandPermission);

interface GivenChains {
  readonly gateway: ProvenChain;
  readonly host?: ProvenChain | undefined;
}

/** Slots that the evidence for a claim must hold. @throws {KmsError} as the claim's own function */
export function evidenceFor(
  gateway: Pick<TrustedGateway, 'chainId' | 'registry'>,
  claim: Claim,
): readonly NeededSlots[] {
  switch (claim.kind) {
    case 'public':
      return evidenceForPublicDecryption(gateway, claim);
    case 'user':
      return evidenceForUserDecryption(gateway, claim);
    case 'transfer':
      return evidenceForTransfer(gateway, claim);
    case 'command':
      return evidenceForCommand(gateway, claim);
  }
}

/**
 * What the node may do about a claim.
 * @param chains of the gateway and, for anything but a command, of the claim's host
 * @throws {KmsError} NOT_PROVEN without the host chain; as the claim's own function
 */
export function permit(context: PolicyContext, chains: GivenChains, claim: Claim): Permission {
  if (claim.kind === 'command') return { kind: claim.kind, ...permitCommand(context, chains.gateway, claim) };
  const both = withHost(chains);
  switch (claim.kind) {
    case 'public':
      return { kind: claim.kind, ...permitPublicDecryption(context, both, claim) };
    case 'user':
      return { kind: claim.kind, ...permitUserDecryption(context, both, claim) };
    case 'transfer':
      return { kind: claim.kind, ...permitTransfer(context, both, claim) };
  }
}

function withHost({ gateway, host }: GivenChains): ProvenChains {
  if (host === undefined) throw new KmsError('NOT_PROVEN', 'the evidence has no host chain');
  return { gateway, host };
}
