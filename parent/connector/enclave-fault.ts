import { Code, ConnectError } from '@connectrpc/connect';
import { type ErrorCode, KmsError } from '../../shared/errors.ts';
import { FaultSchema } from '../../shared/wire/generated/kms/v1/node_pb.js';
import { isErrorCode } from './verdict.ts';

/** What a failed call means where the enclave itself said nothing. */
const byTransport: Partial<Record<Code, ErrorCode>> = {
  [Code.Canceled]: 'TIMEOUT',
  [Code.DeadlineExceeded]: 'TIMEOUT',
  // The enclave's own refusals carry their code; the transport's limits concern this message.
  [Code.ResourceExhausted]: 'TOO_LARGE',
  [Code.Unavailable]: 'UNAVAILABLE',
};

/** A failed call as the one error class: the enclave's code, else what the transport says. */
export function enclaveFault(error: unknown): KmsError {
  if (error instanceof KmsError) return error;
  const connect = ConnectError.from(error);
  const told = connect.findDetails(FaultSchema)[0]?.code;
  // Without a detail it is the connection: a node that starts again is not failing.
  const code = told === undefined ? (byTransport[connect.code] ?? 'UNAVAILABLE') : told;
  return new KmsError(isErrorCode(code) ? code : 'INTERNAL', 'the enclave refuses', { cause: error });
}
