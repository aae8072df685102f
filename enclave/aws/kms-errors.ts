import { KmsError } from '../../shared/errors.ts';

/** AWS's names of errors that pass by themselves. */
const PASSING = new Set([
  ...[
    'ThrottlingException',
    'Throttling',
    'TooManyRequestsException',
    'RequestThrottled',
    'LimitExceededException',
  ],
  ...['DependencyTimeoutException', 'KeyUnavailableException', 'KMSInternalException', 'InternalFailure'],
  ...['ServiceUnavailable', 'ServiceUnavailableException', 'InternalServerError', 'RequestTimeout'],
]);

/** The credentials ended, or were never any. */
const CREDENTIALS = new Set([
  ...['ExpiredTokenException', 'ExpiredToken', 'UnrecognizedClientException', 'InvalidClientTokenId'],
  ...['MissingAuthenticationTokenException', 'TokenRefreshRequired'],
]);

export type ServiceFault =
  | 'passing' // throttled, failing or not reached
  | 'credentials'
  | 'clock' // signed too far from AWS's time; the SDK has taken that time over
  | 'refused';

/** Who is at fault for what an SDK client threw. Codes of our own that are no matter of time are refusals. */
export function serviceFaultOf(error: unknown): ServiceFault {
  if (error instanceof KmsError) {
    return error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT' ? 'passing' : 'refused';
  }
  const { name, status, isClockCorrected } = reportOf(error);
  if (isClockCorrected) return 'clock';
  if (CREDENTIALS.has(name)) return 'credentials';
  // Without a status no answer came: the connection broke or took too long.
  if (PASSING.has(name) || status === undefined || status >= 500 || status === 429) return 'passing';
  return 'refused';
}

/** @param what the operation: a public name */
export function refusalOf(what: string, error: unknown): KmsError {
  if (error instanceof KmsError) return error;
  const { name } = reportOf(error);
  return new KmsError('KMS_REFUSED', `KMS refuses ${what}: ${name}`, { cause: error });
}

function reportOf(error: unknown): {
  readonly name: string;
  readonly status: number | undefined;
  readonly isClockCorrected: boolean;
} {
  const name = error instanceof Error && /^\w{1,64}$/.test(error.name) ? error.name : 'unknown error';
  const metadata: unknown = error instanceof Error && '$metadata' in error ? error.$metadata : undefined;
  if (typeof metadata !== 'object' || metadata === null)
    return { name, status: undefined, isClockCorrected: false };
  const status = 'httpStatusCode' in metadata ? metadata.httpStatusCode : undefined;
  return {
    name,
    status: typeof status === 'number' ? status : undefined,
    isClockCorrected: 'clockSkewCorrected' in metadata && metadata.clockSkewCorrected === true,
  };
}
