import { KmsError } from '../../shared/errors.ts';
import { commandCommitment } from '../../shared/gateway/commitments.ts';
import { type TypedDomain, typedDigest } from '../../shared/gateway/eip712.ts';
import { keyStates } from '../../shared/gateway/key-state.ts';
import type { CommandOperation } from '../../shared/gateway/policy/command.ts';
import { signDigest } from '../../shared/gateway/signature.ts';
import { encodeTyped } from '../../shared/gateway/typed-abi.ts';
import type { Typed } from '../../shared/gateway/typed-data.ts';
import { type Digest, digest, type KeyId, keyId } from '../../shared/ids.ts';
import { fromHex, toHex } from '../../shared/wire/bytes.ts';
import type { Ceremonies, KeyProgress } from '../ceremonies.ts';
import type { ResultSigner } from '../membership/result-signer.ts';
import type { Authority } from './authority.ts';
import type { KeyStates } from './key-states.ts';
import type { SaidStatements } from './said-statements.ts';

/** What a parent brings; all of it untrusted. */
export interface CommandRequest {
  readonly claim: Uint8Array;
  readonly evidence: Uint8Array;
}

export type CommandProgress =
  | Extract<KeyProgress, { readonly kind: 'progress' }>
  /** As `Keys.respond` takes them: `abi.encode` of the statement, and this node's signature over it. */
  | { readonly kind: 'done'; readonly statement: Uint8Array; readonly signature: Uint8Array };

export interface CommandDeskPorts {
  readonly domain: TypedDomain;
  readonly authority: Pick<Authority, 'permit'>;
  readonly ceremonies: Pick<Ceremonies, 'generate'>;
  /** Digest of a certified key's record. @throws {KmsError} UNKNOWN_KEY */
  readonly recordDigest: (key: KeyId) => Digest;
  readonly states: KeyStates;
  readonly said: SaidStatements;
  readonly signer: ResultSigner;
}

type Operation<K extends CommandOperation['kind']> = Extract<CommandOperation, { readonly kind: K }>;

/**
 * Carries out what operators commanded on chain. A node signs its own statement alone: the registry counts them. Repeating a command
 * continues it, or repeats the answer.
 */
export class CommandDesk {
  readonly #ports: CommandDeskPorts;

  constructor(ports: CommandDeskPorts) {
    this.#ports = ports;
  }

  /** @throws {KmsError} as Authority.permit(), Ceremonies.generate(); BAD_INPUT for what this version does not carry out */
  async *carryOut({ claim, evidence }: CommandRequest, signal: AbortSignal): AsyncIterable<CommandProgress> {
    const permitted = await this.#ports.authority.permit(claim, evidence);
    if (permitted.permission.kind !== 'command' || permitted.claim.kind !== 'command') {
      throw new KmsError('BAD_INPUT', 'a request is answered, not carried out');
    }
    const { operation } = permitted.permission;
    // The chain's name of the command: all nodes give the same, and it is good for one key.
    const command = digest(toHex(commandCommitment(permitted.claim.command)));
    if (operation.kind === 'keyGeneration') {
      yield* this.#generate(operation, command, signal);
    } else if (operation.kind === 'lifecycle') {
      yield await this.#move(operation, command);
    } else {
      throw new KmsError('BAD_INPUT', `this version of the node does not carry out ${operation.kind}`);
    }
  }

  async *#generate(
    { preset, galois, statement }: Operation<'keyGeneration'>,
    request: Digest,
    signal: AbortSignal,
  ): AsyncIterable<CommandProgress> {
    const { ceremonies, recordDigest } = this.#ports;
    for await (const step of ceremonies.generate({ request, preset: preset.name, galois }, signal)) {
      if (step.kind === 'progress') {
        yield step;
        continue;
      }
      const names = { keyId: fromHex(step.keyId), recordDigest: fromHex(recordDigest(step.keyId)) };
      yield await this.#said('KeyGeneration', { ...statement, ...names }, request);
    }
  }

  async #move({ statement }: Operation<'lifecycle'>, command: Digest): Promise<CommandProgress> {
    const { states } = this.#ports;
    const { toState } = statement;
    if (toState === keyStates.destroyed) {
      throw new KmsError('BAD_INPUT', 'this version of the node does not destroy keys');
    }
    await states.move(keyId(toHex(statement.keyId)), toState);
    return this.#said('LifecycleTransition', statement, command);
  }

  async #said<Name extends 'KeyGeneration' | 'LifecycleTransition'>(
    name: Name,
    typed: Typed<Name>,
    command: Digest,
  ): Promise<CommandProgress> {
    const { domain, signer, said } = this.#ports;
    const now = { statement: encodeTyped(name, typed), digest: typedDigest(domain, name, typed) };
    const { statement, digest: signed } = await said.first(command, now);
    return { kind: 'done', statement, signature: signer.use((secret) => signDigest(signed, secret)) };
  }
}
