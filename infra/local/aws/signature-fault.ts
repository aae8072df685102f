/** What is wrong with a request's signature, before it has a name in a service's language. */
export type SignatureFaultKind =
  | 'missing' // no Authorization header
  | 'malformed' // Authorization, date, path or query that is not what the specification says
  | 'scope' // signed for another day, region or service
  | 'unknown-key' // the access key id is nobody's
  | 'skewed' // signed more than 15 minutes away from the server's clock
  | 'unsigned-header' // a header that must be signed is not
  | 'mismatch'; // the signature is another one

interface Answer {
  readonly code: string;
  readonly status: number;
}

/** S3's names: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html */
const s3Answers: { readonly [K in SignatureFaultKind]: Answer } = {
  missing: { code: 'AccessDenied', status: 403 },
  malformed: { code: 'AuthorizationHeaderMalformed', status: 400 },
  scope: { code: 'AuthorizationHeaderMalformed', status: 400 },
  'unknown-key': { code: 'InvalidAccessKeyId', status: 403 },
  skewed: { code: 'RequestTimeTooSkewed', status: 403 },
  'unsigned-header': { code: 'AccessDenied', status: 403 },
  mismatch: { code: 'SignatureDoesNotMatch', status: 403 },
};

/** Names of the services that speak JSON, KMS among them ("Common Errors" in each API reference). */
const jsonAnswers: { readonly [K in SignatureFaultKind]: Answer } = {
  missing: { code: 'MissingAuthenticationTokenException', status: 400 },
  malformed: { code: 'IncompleteSignatureException', status: 400 },
  scope: { code: 'InvalidSignatureException', status: 400 },
  'unknown-key': { code: 'UnrecognizedClientException', status: 400 },
  skewed: { code: 'InvalidSignatureException', status: 400 },
  'unsigned-header': { code: 'InvalidSignatureException', status: 400 },
  mismatch: { code: 'InvalidSignatureException', status: 400 },
};

/** A request that is not from whom it says. `code` and `status` are those of AWS for the service it was sent to. */
export class SignatureV4Error extends Error {
  readonly kind: SignatureFaultKind;
  readonly code: string;
  /** HTTP status. */
  readonly status: number;

  constructor(service: string, kind: SignatureFaultKind, message: string) {
    super(message);
    this.name = 'SignatureV4Error';
    this.kind = kind;
    const { code, status } = (service === 's3' ? s3Answers : jsonAnswers)[kind];
    this.code = code;
    this.status = status;
  }
}
