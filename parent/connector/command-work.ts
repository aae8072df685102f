import { join } from 'node:path';
import { data, type Hex, hexOf } from '../../gateway/adapter/chain-data.ts';
import { callOf, read } from '../../gateway/adapter/contract.ts';
import { readLimited, removeDurably, writeDurably } from '../../gateway/adapter/durable-file.ts';
import { isRecord } from '../../gateway/adapter/endpoint.ts';
import { revertOf } from '../../gateway/adapter/log.ts';
import { Turns } from '../../gateway/adapter/turns.ts';
import type { Attempt } from '../../gateway/adapter/workshop.ts';
import { KmsError } from '../../shared/errors.ts';
import { commandCommitment } from '../../shared/gateway/commitments.ts';
import { SIGNATURE_BYTES } from '../../shared/gateway/signature.ts';
import type { AskedCommand } from './asked.ts';
import { commandClaim } from './claim.ts';
import { Consultation, type Consulted } from './consultation.ts';
import type { EnclaveStatement } from './enclave-client.ts';
import { type Blocks, newestThatCounts } from './evidence.ts';
import { BLOCK_BELL, type ConnectorPorts } from './ports.ts';
import { Settled } from './settled.ts';

/** The enclave makes so many keys at once. */
const AT_ENCLAVE = 2;
const REQUESTED = 1;
const ACTIVATED = 2;
/** Which response completes the quorum is known when it is mined. */
const ACTIVATION_GAS = 100_000n;
const MAX_STATEMENT_BYTES = 32 << 10;

interface Statement {
  readonly statement: Hex;
  readonly signature: Hex;
}

/**
 * Has the enclave carry out a command, and posts its statement: each node posts its own, and the registry counts them. It may be killed
 * anywhere: a statement is on disk before it is posted, and the enclave continues what it began.
 */
export class CommandWork {
  readonly #ports: ConnectorPorts;
  readonly #consultation: Consultation;
  readonly #settled: Settled;
  readonly #turns = new Turns(AT_ENCLAVE);

  constructor(ports: ConnectorPorts) {
    this.#ports = ports;
    this.#consultation = new Consultation(ports);
    const { gateway } = ports.network;
    this.#settled = new Settled(() => newestThatCounts(gateway, ports.signal));
  }

  /** @throws {KmsError} for what is to be tried again */
  async attempt(key: string, asked: AskedCommand): Promise<Attempt> {
    const attempt = await this.#attempt(key, asked);
    if (attempt === 'done' || attempt === 'never') await removeDurably(this.#path(key));
    return attempt;
  }

  async #attempt(key: string, asked: AskedCommand): Promise<Attempt> {
    const { network, party, head, signal, log } = this.#ports;
    const { keys } = network.gateway;
    const { id, expiresAt } = asked.args;
    if ((await read(keys, 'commands', [id])) !== hexOf(commandCommitment(asked.command))) {
      log('warn', 'command-undone', { count: Number(id) });
      return 'done';
    }
    if (await this.#isSaid(id, party)) return this.#finish(key);
    this.#settled.forget(key);
    const phase = await read(keys, 'phases', [id]);
    const isOver = phase === REQUESTED && (await head.now(signal)).timestamp > expiresAt;
    if (isOver || (phase !== REQUESTED && phase !== ACTIVATED)) {
      log('warn', 'command-expired', { count: Number(id) });
      return 'done';
    }
    const found = (await this.#kept(key)) ?? (await this.#obtain(key, asked, phase));
    return 'statement' in found ? this.#post(key, asked, found) : found.attempt;
  }

  async #obtain(
    key: string,
    asked: AskedCommand,
    phase: number,
  ): Promise<Statement | { readonly attempt: Attempt }> {
    let found = await this.#turns.run(() => this.#carryOut(key, asked));
    if (found === 'over' && phase === ACTIVATED) {
      // The others were faster. Late statements count, and this node has to do it too: at the block of the command it was open.
      const { chain } = this.#ports.network.gateway;
      const at = new Map([[chain.chainId, asked.log.blockNumber]]);
      found = await this.#turns.run(() => this.#carryOut(key, asked, at));
    }
    if (found === 'over') {
      // Between two looks it may have been activated; then there is one more try.
      if (phase !== ACTIVATED) return { attempt: { later: [BLOCK_BELL] } };
      this.#ports.log('error', 'command-missed', { count: Number(asked.args.id) });
      return { attempt: 'never' };
    }
    if ('attempt' in found) return found;
    const statement = hexOf(found.answer.statement);
    const signature = hexOf(found.answer.signature);
    await writeDurably(this.#path(key), JSON.stringify({ statement, signature }));
    return { statement, signature };
  }

  #carryOut(key: string, asked: AskedCommand, at?: Blocks): Promise<Consulted<EnclaveStatement>> {
    const { network, enclave, signal } = this.#ports;
    const claim = commandClaim(network, asked);
    return this.#consultation.ask(key, claim, (proven) => enclave.carryOut(proven, signal), at);
  }

  async #post(key: string, asked: AskedCommand, { statement, signature }: Statement): Promise<Attempt> {
    const { network, sender, party, log } = this.#ports;
    const { keys } = network.gateway;
    const { id } = asked.args;
    const call = callOf(keys, 'respond', [asked.args, statement, signature], { spareGas: ACTIVATION_GAS });
    const outcome = await sender.send(`respond-${id}`, call, () => this.#isSaid(id, party));
    if (outcome.kind === 'refused') {
      log('error', 'response-refused', { count: Number(id), ...revertOf(outcome.refusal) });
      return { later: [BLOCK_BELL] };
    }
    if (!(await this.#isSaid(id, party))) {
      // Of a command where each party's statement stands by itself, or by another party's name: the contract took it.
      log('warn', 'response-not-recorded', { count: Number(id) });
      return 'never';
    }
    if (outcome.kind === 'mined') log('info', 'response-posted', { count: Number(id) });
    return this.#finish(key);
  }

  /** The response has to come to stay. */
  async #finish(key: string): Promise<Attempt> {
    const { network, signal } = this.#ports;
    const { number } = await network.gateway.chain.latest(signal);
    return (await this.#settled.isSettled(key, number)) ? 'done' : { later: [BLOCK_BELL] };
  }

  async #isSaid(id: bigint, party: number): Promise<boolean> {
    return BigInt(await read(this.#ports.network.gateway.keys, 'responses', [id, party])) !== 0n;
  }

  async #kept(key: string): Promise<Statement | undefined> {
    const bytes = await readLimited(this.#path(key), 4 * MAX_STATEMENT_BYTES);
    if (bytes === undefined) return undefined;
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (!isRecord(value)) throw new KmsError('BAD_ENCODING', 'this is no statement that was kept');
    return {
      statement: data(value.statement, MAX_STATEMENT_BYTES),
      signature: data(value.signature, SIGNATURE_BYTES),
    };
  }

  #path(key: string): string {
    return join(this.#ports.stateDirectory, 'statements', `${key}.json`);
  }
}
