import { canonicalHeader, type Headers } from '../aws/canonical-request.ts';
import { type Credential, credentialFault } from '../aws/credential.ts';
import { SignatureV4Error } from '../aws/signature-fault.ts';
import { type VerifiedSignature, verifySignatureV4 } from '../aws/signature-v4.ts';
import { S3Error, type S3ErrorCode } from './s3-error.ts';

export interface Authentic {
  readonly credential: Credential;
  readonly signature: VerifiedSignature;
  readonly payload: Payload;
}

/** What `x-amz-content-sha256` says about the body. */
export type Payload =
  | { readonly kind: 'hashed'; readonly sha256: string }
  | { readonly kind: 'unsigned' }
  | { readonly kind: 'chunked'; readonly signed: boolean; readonly trailer: boolean };

const streaming: Readonly<Record<string, Payload>> = {
  'UNSIGNED-PAYLOAD': { kind: 'unsigned' },
  'STREAMING-UNSIGNED-PAYLOAD-TRAILER': { kind: 'chunked', signed: false, trailer: true },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD': { kind: 'chunked', signed: true, trailer: false },
  'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER': { kind: 'chunked', signed: true, trailer: true },
};

/** Who sent the request: decided by its headers, before any of its body is read. @throws {S3Error} */
export function authenticate(
  request: {
    readonly method: string;
    readonly path: string;
    readonly query: string;
    readonly headers: Headers;
  },
  region: string,
  credentials: ReadonlyMap<string, Credential>,
  nowMs: number,
): Authentic {
  const stated = canonicalHeader(request.headers, 'x-amz-content-sha256');
  const signature = refusing(() =>
    verifySignatureV4({
      ...request,
      payloadHash: stated ?? '',
      service: 's3',
      region,
      nowMs,
      secretOf: (id) => credentials.get(id)?.secretAccessKey,
    }),
  );
  const credential = credentials.get(signature.accessKeyId);
  if (credential === undefined) throw new S3Error('InvalidAccessKeyId', 'the access key id is unknown');
  const fault = credentialFault(credential, signature.sessionToken, nowMs);
  if (fault === 'expired') throw new S3Error('ExpiredToken', 'the provided token has expired');
  if (fault === 'wrong-token')
    throw new S3Error('InvalidToken', 'the provided token is not that of the access key');
  return { credential, signature, payload: payloadOf(stated) };
}

function payloadOf(stated: string | undefined): Payload {
  if (stated === undefined)
    throw new S3Error('InvalidRequest', 'missing required header x-amz-content-sha256');
  if (/^[0-9a-f]{64}$/.test(stated)) return { kind: 'hashed', sha256: stated };
  const payload = Object.hasOwn(streaming, stated) ? streaming[stated] : undefined;
  if (payload === undefined)
    throw new S3Error(
      'InvalidArgument',
      'x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a STREAMING- form or a hash',
    );
  return payload;
}

const codes: readonly S3ErrorCode[] = [
  'AccessDenied',
  'AuthorizationHeaderMalformed',
  'InvalidAccessKeyId',
  'RequestTimeTooSkewed',
  'SignatureDoesNotMatch',
];

function refusing<T>(verify: () => T): T {
  try {
    return verify();
  } catch (error) {
    if (!(error instanceof SignatureV4Error)) throw error;
    throw new S3Error(codes.find((one) => one === error.code) ?? 'AccessDenied', error.message, {
      status: error.status,
      cause: error,
    });
  }
}
