import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { committee } from '../../shared/committee.ts';
import { chainPorts, freshChains } from './chains/chains-state.ts';
import { freshCloud } from './cloud.ts';
import { freePorts } from './process.ts';
import type { NetworkState } from './state.ts';

const ENCLAVE_ENTRY = fileURLToPath(new URL('../../enclave/main.ts', import.meta.url));

/** `<root>/64/ingress.sock` has to fit into a unix socket's path on every system. */
const MAX_SOCKET_ROOT_BYTES = 80;

/**
 * A network that has never run: ports that are free now, and a directory for its sockets.
 * @param hasGateway with a gateway chain and host chains of its own
 * @param pollMs see ChainsState
 * @throws {KmsError} BAD_INPUT unless n and t make a committee
 */
export async function freshState(
  directory: string,
  terms: Pick<NetworkState, 'name' | 'n' | 't' | 'roundMs' | 'openingMs'>,
  hasGateway = false,
  pollMs?: number,
): Promise<NetworkState> {
  const { n, t } = terms;
  committee(n, t);
  const inside = join(directory, 'sockets');
  const socketRoot =
    Buffer.byteLength(inside) <= MAX_SOCKET_ROOT_BYTES ? inside : await mkdtemp(join(tmpdir(), 'kms-'));
  const all = await freePorts(n + (hasGateway ? chainPorts : 0));
  const ports = all.slice(0, n);
  return {
    format: 2,
    ...terms,
    socketRoot,
    cloud: await freshCloud(),
    ...(hasGateway ? { chains: { ...freshChains(all.slice(n)), ...(pollMs && { pollMs }) } } : {}),
    nodes: ports.map((port, i) => ({
      party: i + 1,
      address: `127.0.0.1:${port}`,
      socketDirectory: join(socketRoot, `${i + 1}`),
      entry: ENCLAVE_ENTRY,
      processes: {},
    })),
  };
}
