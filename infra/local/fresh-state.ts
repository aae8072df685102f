import { mkdtemp } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { committee } from '../../shared/committee.ts';
import { KmsError } from '../../shared/errors.ts';
import { freshCloud } from './cloud.ts';
import type { NetworkState } from './state.ts';

const ENCLAVE_ENTRY = fileURLToPath(new URL('../../enclave/main.ts', import.meta.url));

/** `<root>/64/ingress.sock` has to fit into a unix socket's path on every system. */
const MAX_SOCKET_ROOT_BYTES = 80;

/**
 * A network that has never run: ports that are free now, and a directory for its sockets.
 * @throws {KmsError} BAD_INPUT unless n and t make a committee
 */
export async function freshState(
  directory: string,
  terms: Pick<NetworkState, 'name' | 'n' | 't' | 'roundMs' | 'openingMs'>,
): Promise<NetworkState> {
  const { n, t } = terms;
  committee(n, t);
  const inside = join(directory, 'sockets');
  const socketRoot =
    Buffer.byteLength(inside) <= MAX_SOCKET_ROOT_BYTES ? inside : await mkdtemp(join(tmpdir(), 'kms-'));
  const ports = await freePorts(n);
  return {
    format: 2,
    ...terms,
    socketRoot,
    cloud: await freshCloud(),
    nodes: ports.map((port, i) => ({
      party: i + 1,
      address: `127.0.0.1:${port}`,
      socketDirectory: join(socketRoot, `${i + 1}`),
      entry: ENCLAVE_ENTRY,
      processes: {},
    })),
  };
}

/** Ports that nobody listened on a moment ago, all different: they are held together before they are let go. */
async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((done, failed) => {
          server.once('error', failed);
          server.listen(0, '127.0.0.1', () => {
            const address = server.address();
            if (address === null || typeof address === 'string') failed(new KmsError('INTERNAL', 'no port'));
            else done(address.port);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}
