import type { ConnectRouter } from '@connectrpc/connect';
import { MAX_ENVELOPE_BYTES } from '../../enclave/api.ts';
import type { FurtherRoutes } from '../../enclave/net/api-server.ts';
import { toFault } from '../../enclave/net/fault.ts';
import type { NodeParts } from '../../enclave/node-parts.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { DirectService } from './generated/kms/direct/v1/direct_pb.js';
import { DirectWork } from './work.ts';

const FIELD_BYTES = 64 * 1024;
const WITH_ENVELOPE: ReadonlySet<string> = new Set(
  [DirectService.method.decrypt, DirectService.method.userDecrypt].map(
    ({ name }) => `/${DirectService.typeName}/${name}`,
  ),
);

/** Part of an enclave that serves DirectService. */
export const directRoutes: NonNullable<NodeParts['furtherRoutes']> = (serving) =>
  routesTo(new DirectWork(serving));

export function routesTo(work: DirectWork): FurtherRoutes {
  return {
    routes: (router) => addRoutes(router, work),
    maxBytes: (path) => (WITH_ENVELOPE.has(path) ? MAX_ENVELOPE_BYTES + FIELD_BYTES : undefined),
  };
}

function addRoutes(router: ConnectRouter, work: DirectWork): void {
  router.service(DirectService, {
    generateKey: ({ requestId, preset }, { signal }) =>
      faulting(async () => ({ keyId: fromHex(await work.generateKey(requestId, preset, signal)) })),
    decrypt: ({ envelope }, { signal }) =>
      faulting(async () => {
        const { value, culprits } = await work.decrypt(envelope, signal);
        return {
          values: value.kind === 'scalar' ? [value.value] : [...value.values],
          culprits: [...culprits],
        };
      }),
    userDecrypt: ({ requestId, envelope, userKey }) =>
      faulting(async () => ({ sealedShare: await work.userDecrypt(requestId, envelope, userKey) })),
  });
}

async function faulting<T>(answer: () => Promise<T>): Promise<T> {
  try {
    return await answer();
  } catch (error) {
    throw toFault(error);
  }
}
