import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalHeader, canonicalPath, canonicalQuery, type Headers } from './canonical-request.ts';
import { type SignatureFaultKind, SignatureV4Error } from './signature-fault.ts';

/**
 * Verification of AWS Signature Version 4 in the Authorization header, as the local stand-ins of AWS services need it.
 * @see https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
 */
export interface SignedRequest {
  readonly method: string;
  /** As on the request line: percent-encoded, without the query. */
  readonly path: string;
  /** As on the request line, without "?"; empty if there is none. */
  readonly query: string;
  /** Lower-case names: Node's `request.headers` fits. */
  readonly headers: Headers;
  /**
   * Lower-case hex SHA-256 of the body; for S3 what `x-amz-content-sha256` says. The signature covers this text only: that
   * the body has this hash is for the caller to verify.
   */
  readonly payloadHash: string;
  /** Of the server: `kms`, `s3`. */
  readonly service: string;
  readonly region: string;
  /** The server's clock, milliseconds of Unix time. */
  readonly nowMs: number;
  /** Undefined: nobody has this access key id. */
  readonly secretOf: (accessKeyId: string) => string | undefined;
}

export interface VerifiedSignature {
  readonly accessKeyId: string;
  /** `x-amz-security-token`, which is signed but not verified here: the caller knows which one belongs to the access key. */
  readonly sessionToken: string | undefined;
  /** `x-amz-date`, as sent: yyyymmddThhmmssZ. */
  readonly date: string;
  /** yyyymmdd/region/service/aws4_request */
  readonly scope: string;
  /** Hex; the seed of the signatures of chunks (S3). */
  readonly signature: string;
  /** Secret, 32 bytes: signs chunks (S3). */
  readonly signingKey: Uint8Array;
}

export const MAX_SKEW_MS = 15 * 60_000;

const ALGORITHM = 'AWS4-HMAC-SHA256';
const MAX_AUTHORIZATION_CHARACTERS = 4096;
const authorizationShape =
  /^AWS4-HMAC-SHA256 +Credential=([\w.-]{1,128})\/(\d{8})\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\/aws4_request, *SignedHeaders=([a-z0-9;_.-]+), *Signature=([0-9a-f]{64})$/;
const dateShape = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** @throws {SignatureV4Error} with AWS's error code for the service */
export function verifySignatureV4(request: SignedRequest): VerifiedSignature {
  const { headers, service, region } = request;
  const refused = (kind: SignatureFaultKind, message: string): SignatureV4Error =>
    new SignatureV4Error(service, kind, message);

  const authorization = canonicalHeader(headers, 'authorization');
  if (authorization === undefined) throw refused('missing', 'the request is not signed');
  const parts =
    authorization.length > MAX_AUTHORIZATION_CHARACTERS ? null : authorizationShape.exec(authorization);
  if (parts === null) throw refused('malformed', 'the Authorization header is not of AWS4-HMAC-SHA256');
  const [accessKeyId, day, signedRegion, signedService, names, signature] = six(parts);
  const signed = names.split(';');
  if (signed.some((name, i) => name === '' || (i > 0 && name <= signed[i - 1]!))) {
    throw refused('malformed', 'SignedHeaders is not a sorted list of different names');
  }

  const date = canonicalHeader(headers, 'x-amz-date') ?? '';
  const dateMs = instantOf(date);
  if (dateMs === undefined) throw refused('malformed', 'x-amz-date is not yyyymmddThhmmssZ');
  if (signedRegion !== region || signedService !== service || day !== date.slice(0, 8)) {
    throw refused('scope', `the credential is not scoped to ${date.slice(0, 8)}/${region}/${service}`);
  }
  if (!(Math.abs(request.nowMs - dateMs) <= MAX_SKEW_MS)) {
    throw refused('skewed', 'the request was signed more than 15 minutes from the time of the server');
  }
  const covered = new Set(signed);
  for (const name of ['host', ...Object.keys(headers).filter((one) => one.startsWith('x-amz-'))]) {
    if (!covered.has(name)) throw refused('unsigned-header', `the header ${name} is not signed`);
  }
  const secret = request.secretOf(accessKeyId);
  if (secret === undefined) throw refused('unknown-key', 'the access key id is unknown');

  const lines: string[] = [];
  for (const name of signed) {
    const value = canonicalHeader(headers, name);
    if (value === undefined) throw refused('mismatch', `the signed header ${name} is not there`);
    lines.push(`${name}:${value}\n`);
  }
  let address: string;
  try {
    address = `${canonicalPath(request.path, service)}\n${canonicalQuery(request.query)}`;
  } catch {
    throw refused('malformed', 'path or query are not percent-encoded UTF-8');
  }
  const canonical = `${request.method}\n${address}\n${lines.join('')}\n${names}\n${request.payloadHash}`;
  const scope = `${day}/${region}/${service}/aws4_request`;
  const signingKey = signingKeyOf(secret, day, region, service);
  const expected = hmacSha256(signingKey, `${ALGORITHM}\n${date}\n${scope}\n${sha256Hex(canonical)}`);
  if (!timingSafeEqual(expected, Buffer.from(signature, 'hex'))) {
    throw refused('mismatch', 'the signature does not fit the request; check the secret and what was signed');
  }
  const sessionToken = canonicalHeader(headers, 'x-amz-security-token');
  return { accessKeyId, sessionToken, date, scope, signature, signingKey };
}

/** The key that signs on one day in one region for one service; secret. */
export function signingKeyOf(secret: string, day: string, region: string, service: string): Uint8Array {
  let key: Uint8Array = hmacSha256(Buffer.from(`AWS4${secret}`), day);
  for (const part of [region, service, 'aws4_request']) key = hmacSha256(key, part);
  return key;
}

export function hmacSha256(key: Uint8Array, text: string): Uint8Array {
  return createHmac('sha256', key).update(text).digest();
}

export function sha256Hex(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Undefined unless text is yyyymmddThhmmssZ of a day that exists. */
function instantOf(text: string): number | undefined {
  const parts = dateShape.exec(text);
  if (parts === null) return undefined;
  const iso = text.replace(dateShape, '$1-$2-$3T$4:$5:$6.000Z');
  const ms = Date.parse(iso);
  return Number.isNaN(ms) || new Date(ms).toISOString() !== iso ? undefined : ms;
}

function six(parts: RegExpExecArray): [string, string, string, string, string, string] {
  return [parts[1]!, parts[2]!, parts[3]!, parts[4]!, parts[5]!, parts[6]!];
}
