import type { Duplex } from 'node:stream';
import { egressLine } from '../../shared/egress.ts';
import type { Link } from '../../shared/link.ts';
import type { EndpointOptions } from './endpoint.ts';

const HTTPS_PORT = 443;

/** Reaches endpoints through the parent, which may connect anywhere: who answers is for TLS to find out. */
export function throughParent(link: Link<Duplex>): EndpointOptions['connect'] {
  return async (host) => {
    const stream = await link.connect('egress');
    stream.write(egressLine(`${host}:${HTTPS_PORT}`));
    return stream;
  };
}
