import {
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GetKeyPolicyCommand,
  KMSClient,
  ListGrantsCommand,
  type RecipientInfo,
} from '@aws-sdk/client-kms';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { KmsError } from '../../shared/errors.ts';
import { type KeyArn, kmsHost } from '../../shared/sealing/key-arn.ts';
import { checkKeyPolicy, type PolicyExpectation } from '../../shared/sealing/policy-inspection.ts';
import type { Nsm } from '../nsm/nsm.ts';
import type { Pace, Patience } from './attempts.ts';
import { AUTH_SCHEMES, CLIENT_SETTINGS } from './client-settings.ts';
import { openEnvelope } from './cms.ts';
import type { CredentialProvider } from './credentials.ts';
import { type EndpointOptions, endpointHandler } from './endpoint.ts';
import { checkKeyState } from './key-state.ts';
import { refusalOf } from './kms-errors.ts';
import { LentRequests } from './lent-requests.ts';
import { RecipientKey } from './recipient-key.ts';

/** What a data key belongs to; public, authenticated by KMS, needed again to decrypt. 1..8 entries. */
export type EncryptionContext = Readonly<Record<string, string>>;

/** A fresh data key. */
export interface DataKey {
  /** 32 secret bytes; the caller erases them. */
  readonly plaintext: Uint8Array;
  /** What decrypt() takes; public. */
  readonly blob: Uint8Array;
}

/**
 * AWS KMS as an enclave uses it: secrets come encrypted to a key of this process, to which an attestation document binds
 * every request. A decrypted data key is not thereby one that an enclave made: before its policy was immutable anybody may
 * have used the key. Hence the second half (enclave.md section 3).
 * Every method throws KmsError: KMS_REFUSED; KMS_UNAVAILABLE when the time is over; WRONG_KEY for an answer about another
 * key; BAD_ENCODING for one that is none; BAD_PEER if somebody else answers; BAD_INPUT for a context that is none.
 */
export interface AttestedKms {
  generateDataKey(context: EncryptionContext): Promise<DataKey>;
  /** 32 secret bytes; the caller erases them. @param blob of generateDataKey(), from untrusted storage */
  decrypt(blob: Uint8Array, context: EncryptionContext): Promise<Uint8Array>;
  /** A blob that only an attested image of this key's policy can open. @param plaintext 32 secret bytes */
  encrypt(plaintext: Uint8Array, context: EncryptionContext): Promise<Uint8Array>;
  /**
   * Refuses unless only images with these registers can use the key, now and for ever: state of the key, its policy, its
   * grants. @throws {KmsError} KMS_POLICY too
   */
  inspectPolicy(expected: PolicyExpectation): Promise<void>;
  /** Closes connections. */
  close(): void;
}

export interface AttestedKmsOptions {
  /** From the configuration. */
  readonly key: KeyArn;
  readonly nsm: Pick<Nsm, 'attest'>;
  readonly credentials: CredentialProvider;
  readonly connect: EndpointOptions['connect'];
  /** `ENDPOINT_ROOTS` of `#roots`. */
  readonly roots: readonly Uint8Array[];
  readonly patience?: Patience;
  readonly pace?: Pace;
  /** Unix time of the enclave. */
  readonly nowMs?: () => number;
}

export const PATIENCE: Patience = { totalMs: 20_000, attemptMs: 5_000 };

const DATA_KEY_BYTES = 32;
/** AWS's own limit. */
const MAX_BLOB_BYTES = 6144;
const MAX_ANSWER_BYTES = 256 * 1024;
const MAX_CONTEXT_ENTRIES = 8;

/** @param recipientKey default: one is made now. No request is sent. */
export async function openAttestedKms(
  options: AttestedKmsOptions,
  recipientKey: Promise<RecipientKey> = RecipientKey.generate(),
): Promise<AttestedKms> {
  return new AwsKms(options, await recipientKey);
}

class AwsKms implements AttestedKms {
  readonly #options: AttestedKmsOptions;
  readonly #recipientKey: RecipientKey;
  readonly #handler: NodeHttpHandler;
  readonly #requests: LentRequests<KMSClient>;

  constructor(options: AttestedKmsOptions, recipientKey: RecipientKey) {
    const { connect, roots, key, credentials, nowMs, pace } = options;
    const hosts = [kmsHost(key.region)];
    this.#options = options;
    this.#recipientKey = recipientKey;
    this.#handler = endpointHandler({ connect, roots, hosts, maxAnswerBytes: MAX_ANSWER_BYTES });
    this.#requests = new LentRequests({
      ...{ credentials, nowMs, pace, patience: options.patience ?? PATIENCE },
      open: (lent) =>
        new KMSClient({
          ...CLIENT_SETTINGS,
          authSchemePreference: [...AUTH_SCHEMES],
          ...{ region: key.region, endpoint: `https://${kmsHost(key.region)}` },
          ...{ requestHandler: this.#handler, credentials: lent },
        }),
    });
  }

  async generateDataKey(context: EncryptionContext): Promise<DataKey> {
    const request = {
      ...this.#keyId,
      EncryptionContext: checkedContext(context),
      NumberOfBytes: DATA_KEY_BYTES,
    };
    const answer = await this.#send('GenerateDataKey', async (kms, abortSignal) =>
      kms.send(new GenerateDataKeyCommand({ ...request, Recipient: await this.#recipient() }), {
        abortSignal,
      }),
    );
    const { CiphertextBlob } = answer;
    if (CiphertextBlob === undefined || CiphertextBlob.length > MAX_BLOB_BYTES) {
      throw new KmsError('BAD_ENCODING', 'KMS answers without a ciphertext of the data key');
    }
    return { plaintext: this.#open(answer), blob: Uint8Array.from(CiphertextBlob) };
  }

  async decrypt(blob: Uint8Array, context: EncryptionContext): Promise<Uint8Array> {
    if (blob.length === 0 || blob.length > MAX_BLOB_BYTES) {
      throw new KmsError('BAD_ENCODING', `a sealed data key has 1..${MAX_BLOB_BYTES} bytes`);
    }
    const request = {
      ...{ ...this.#keyId, CiphertextBlob: blob, EncryptionContext: checkedContext(context) },
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    } as const;
    const answer = await this.#send('Decrypt', async (kms, abortSignal) =>
      kms.send(new DecryptCommand({ ...request, Recipient: await this.#recipient() }), { abortSignal }),
    );
    return this.#open(answer);
  }

  async encrypt(plaintext: Uint8Array, context: EncryptionContext): Promise<Uint8Array> {
    const request = { ...this.#keyId, Plaintext: plaintext, EncryptionContext: checkedContext(context) };
    const { KeyId, CiphertextBlob } = await this.#send('Encrypt', (kms, abortSignal) =>
      kms.send(new EncryptCommand({ ...request, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }), { abortSignal }),
    );
    this.#expectOwn(KeyId);
    if (CiphertextBlob === undefined || CiphertextBlob.length > MAX_BLOB_BYTES) {
      throw new KmsError('BAD_ENCODING', 'KMS answers without a ciphertext of the data key');
    }
    return Uint8Array.from(CiphertextBlob);
  }

  async inspectPolicy(expected: PolicyExpectation): Promise<void> {
    const { key } = this.#options;
    // On one connection: three handshakes take longer than three answers one after the other.
    const { KeyMetadata } = await this.#send('DescribeKey', (kms, abortSignal) =>
      kms.send(new DescribeKeyCommand(this.#keyId), { abortSignal }),
    );
    const { Policy } = await this.#send('GetKeyPolicy', (kms, abortSignal) =>
      kms.send(new GetKeyPolicyCommand({ ...this.#keyId, PolicyName: 'default' }), { abortSignal }),
    );
    const { Grants, Truncated, NextMarker } = await this.#send('ListGrants', (kms, abortSignal) =>
      kms.send(new ListGrantsCommand(this.#keyId), { abortSignal }),
    );
    checkKeyState(KeyMetadata, key);
    checkKeyPolicy(Policy ?? '', key.account, expected);
    if (Grants?.length !== 0 || Truncated === true || NextMarker !== undefined) {
      throw new KmsError('KMS_POLICY', `the key ${key.arn} has grants; revoke them, or make a new key`);
    }
  }

  close(): void {
    this.#handler.destroy();
  }

  get #keyId(): { readonly KeyId: string } {
    return { KeyId: this.#options.key.arn };
  }

  /** A document of now: KMS takes none that is older than five minutes, so none is kept. */
  async #recipient(): Promise<RecipientInfo> {
    const document = await this.#options.nsm.attest({ publicKey: this.#recipientKey.spki });
    return { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: document };
  }

  #expectOwn(key: string | undefined): void {
    if (key !== this.#options.key.arn) throw new KmsError('WRONG_KEY', 'KMS answers about another key');
  }

  /** The data key in an answer. */
  #open(answer: {
    readonly KeyId?: string | undefined;
    readonly Plaintext?: Uint8Array | undefined;
    readonly CiphertextForRecipient?: Uint8Array | undefined;
  }): Uint8Array {
    const { KeyId, Plaintext, CiphertextForRecipient } = answer;
    if (Plaintext !== undefined && Plaintext.length > 0) {
      Plaintext.fill(0);
      throw new KmsError(
        'BAD_ENCODING',
        'KMS answers in the clear: it did not look at the attestation document',
      );
    }
    this.#expectOwn(KeyId);
    if (CiphertextForRecipient === undefined) {
      throw new KmsError('BAD_ENCODING', 'KMS answers without a ciphertext for this enclave');
    }
    const plaintext = openEnvelope(CiphertextForRecipient, this.#recipientKey);
    if (plaintext.length === DATA_KEY_BYTES) return plaintext;
    plaintext.fill(0);
    throw new KmsError('BAD_ENCODING', `KMS answers with a data key that is not ${DATA_KEY_BYTES} bytes`);
  }

  async #send<T>(what: string, request: (kms: KMSClient, signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await this.#requests.send(what, request);
    } catch (error) {
      throw refusalOf(what, error);
    }
  }
}

/** @throws {KmsError} BAD_INPUT: a context that binds nothing is a mistake */
function checkedContext(context: EncryptionContext): Record<string, string> {
  const entries = Object.entries(context);
  const isGood = entries.flat().every((text) => /^[\x21-\x7e]{1,128}$/.test(text));
  if (entries.length === 0 || entries.length > MAX_CONTEXT_ENTRIES || !isGood) {
    throw new KmsError(
      'BAD_INPUT',
      `an encryption context has 1..${MAX_CONTEXT_ENTRIES} short texts by name`,
    );
  }
  return { ...context };
}
