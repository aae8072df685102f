import { KmsError } from '../../shared/errors.ts';
import { type Digest, digest } from '../../shared/ids.ts';
import type { StandInClass } from './aws/endpoint-certificate.ts';
import { type NetworkState, type NodeState, writeState } from './state.ts';

/** The state of a network as this process knows it: what changes is known at once, and on disk when the promise resolves. */
export class KnownState {
  readonly directory: string;
  #state: NetworkState;
  #saving: Promise<unknown> = Promise.resolve();

  constructor(directory: string, state: NetworkState) {
    [this.directory, this.#state] = [directory, state];
  }

  get all(): NetworkState {
    return this.#state;
  }

  get nodes(): readonly NodeState[] {
    return this.#state.nodes;
  }

  /** Undefined until the network is founded. */
  get networkId(): Digest | undefined {
    const { networkId } = this.#state;
    return networkId === undefined ? undefined : digest(networkId);
  }

  /** Of its enclaves. */
  get class(): StandInClass {
    return this.#state.class ?? 'mock';
  }

  /** @throws {KmsError} BAD_INPUT */
  node(party: number): NodeState {
    const node = this.#state.nodes[party - 1];
    if (node === undefined) throw new KmsError('BAD_INPUT', `there is no party ${party} in this network`);
    return node;
  }

  changeNode(party: number, change: Partial<NodeState>): Promise<void> {
    return this.change({
      nodes: this.#state.nodes.map((node) => (node.party === party ? { ...node, ...change } : node)),
    });
  }

  change(change: Partial<NetworkState>): Promise<void> {
    return this.replace({ ...this.#state, ...change });
  }

  /** On disk one after the other, and never older than what is known. */
  replace(state: NetworkState): Promise<void> {
    this.#state = state;
    const saved = this.#saving.then(() => writeState(this.directory, this.#state));
    this.#saving = saved.catch(() => undefined);
    return saved;
  }
}
