import 'reflect-metadata';
import { createHash, randomBytes } from 'node:crypto';
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { CborKey, CborValue } from '../../../shared/attestation/cbor.ts';
import { writeCbor } from '../../../shared/attestation/cbor-writer.ts';
import { signedBytes, writeSign1 } from '../../../shared/attestation/cose.ts';
import type { AttestationPolicy } from '../../../shared/attestation/policy.ts';
import type { AttestationRoot } from '../../../shared/attestation/root.ts';
import { digest } from '../../../shared/ids.ts';

/** A security module under a root of the test's own, of which every single thing can be made wrong. */
export const HOUR_MS = 3_600_000;
export const NOW_MS = Date.UTC(2030, 0, 1, 12);

export interface CertificateTerms {
  readonly curve?: 'P-256' | 'P-384';
  readonly hash?: 'SHA-256' | 'SHA-384';
  readonly subject: string;
  readonly issuer: string;
  readonly fromMs: number;
  readonly untilMs: number;
  readonly isCa: boolean;
  readonly pathLength?: number;
  readonly usage: number;
  readonly extensions?: readonly Extension[];
  /** Leaves these out. */
  readonly without?: readonly ('constraints' | 'usage')[];
}

export interface Made {
  readonly der: Uint8Array;
  readonly keys: CryptoKeyPair;
}

export type Place = 'root' | 'region' | 'zone' | 'host' | 'leaf';
export const places: readonly Place[] = ['root', 'region', 'zone', 'host', 'leaf'];

const CA = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;

/** A chain as AWS makes it. */
export const goodTerms: Readonly<Record<Place, CertificateTerms>> = {
  root: ca('root', 'root', undefined, CA, 24 * 365),
  region: ca('region', 'root', 2, CA, 24 * 20),
  zone: ca('zone', 'region', 1, CA, 24 * 6),
  host: ca('host', 'zone', 0, KeyUsageFlags.keyCertSign, 24),
  leaf: {
    ...ca('leaf', 'host', undefined, KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation, 2),
    isCa: false,
  },
};

function ca(
  subject: string,
  issuer: string,
  pathLength: number | undefined,
  usage: number,
  hours: number,
): CertificateTerms {
  return {
    subject: `CN=${subject}`,
    issuer: `CN=${issuer}`,
    fromMs: NOW_MS - HOUR_MS,
    untilMs: NOW_MS + hours * HOUR_MS,
    isCa: true,
    ...(pathLength === undefined ? {} : { pathLength }),
    usage,
  };
}

export interface Forgery {
  /** Changes certificates, by place. */
  readonly terms?: { readonly [P in Place]?: Partial<CertificateTerms> };
  /** The order of issuance; each signs the next. */
  readonly chain?: readonly Place[];
  /** Signed by another key than its issuer's. */
  readonly strangers?: readonly Place[];
  readonly root?: Made;
}

const P384 = { name: 'ECDSA', namedCurve: 'P-384' };

export async function makeCertificate(terms: CertificateTerms, by?: CryptoKeyPair): Promise<Made> {
  const curve = { name: 'ECDSA', namedCurve: terms.curve ?? 'P-384' };
  const keys = await crypto.subtle.generateKey(curve, true, ['sign', 'verify']);
  const without = terms.without ?? [];
  const signer = by ?? keys;
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: `01${randomBytes(8).toString('hex')}`,
      subject: terms.subject,
      issuer: terms.issuer,
      notBefore: new Date(terms.fromMs),
      notAfter: new Date(terms.untilMs),
      signingAlgorithm: { ...P384, hash: terms.hash ?? 'SHA-384' },
      publicKey: keys.publicKey,
      signingKey: signer.privateKey,
      extensions: [
        ...(without.includes('constraints')
          ? []
          : [new BasicConstraintsExtension(terms.isCa, terms.pathLength, true)]),
        ...(without.includes('usage') ? [] : [new KeyUsagesExtension(terms.usage, terms.isCa)]),
        ...(terms.extensions ?? []),
      ],
    },
    crypto,
  );
  return { der: new Uint8Array(certificate.rawData), keys };
}

export class ForgedModule {
  readonly chain: readonly Made[];

  private constructor(chain: readonly Made[]) {
    this.chain = chain;
  }

  static async make({
    terms = {},
    chain = places,
    strangers = [],
    root,
  }: Forgery = {}): Promise<ForgedModule> {
    const made: Made[] = [];
    for (const place of chain) {
      const above = made[made.length - 1];
      const stranger = strangers.includes(place)
        ? await crypto.subtle.generateKey(P384, true, ['sign', 'verify'])
        : undefined;
      const isGiven = place === 'root' && root !== undefined;
      made.push(
        isGiven
          ? root
          : await makeCertificate({ ...goodTerms[place], ...terms[place] }, stranger ?? above?.keys),
      );
    }
    return new ForgedModule(made);
  }

  get root(): Made {
    return this.chain[0]!;
  }

  get leaf(): Made {
    return this.chain[this.chain.length - 1]!;
  }

  /** What a verifier that trusts this module pins. */
  get pinned(): AttestationRoot {
    const { der } = this.root;
    const sha256 = digest(createHash('sha256').update(der).digest('hex'));
    return { name: 'test', class: 'production', sha256, der };
  }

  /** A signed document. @param changes replaces fields; undefined leaves one out */
  async document(
    changes: { readonly [name: string]: CborValue | undefined } = {},
    signer: CryptoKeyPair = this.leaf.keys,
  ): Promise<Uint8Array> {
    const fields = new Map<CborKey, CborValue>([...goodFields(this)]);
    for (const [name, value] of Object.entries(changes)) {
      if (value === undefined) fields.delete(name);
      else fields.set(name, value);
    }
    return this.sign(writeCbor(fields), signer);
  }

  /** Signs any payload as the module signs documents. */
  async sign(payload: Uint8Array, signer: CryptoKeyPair = this.leaf.keys): Promise<Uint8Array> {
    const algorithm = { name: 'ECDSA', hash: 'SHA-384' };
    const signature = await crypto.subtle.sign(algorithm, signer.privateKey, signedBytes(payload));
    return writeSign1({ payload, signature: new Uint8Array(signature) });
  }
}

export const bound = {
  nonce: new Uint8Array(32).fill(7),
  publicKey: new Uint8Array(91).fill(8),
  userData: new Uint8Array(32).fill(9),
};

export const networkId = digest(`${Buffer.from('kms\0').toString('hex')}${'ab'.repeat(28)}`);
export const measurement = {
  pcr0: new Uint8Array(48).fill(1),
  pcr1: new Uint8Array(48).fill(2),
  pcr2: new Uint8Array(48).fill(3),
};

/** By node's own hash, as the reference. */
export function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha384');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
}

export const pcrs: ReadonlyMap<number, Uint8Array> = new Map([
  [0, measurement.pcr0],
  [1, measurement.pcr1],
  [2, measurement.pcr2],
  ...Array.from({ length: 13 }, (_, i) => [i + 3, new Uint8Array(48)] as const),
  [16, sha384(new Uint8Array(48), Buffer.from(networkId, 'hex'))],
]);

function goodFields(module: ForgedModule): readonly (readonly [CborKey, CborValue])[] {
  return [
    ['module_id', 'i-0123456789abcdef0-enc0123456789abcdef'],
    ['digest', 'SHA384'],
    ['timestamp', NOW_MS],
    ['pcrs', pcrs],
    ['certificate', module.leaf.der],
    ['cabundle', module.chain.slice(0, -1).map(({ der }) => der)],
    ['public_key', bound.publicKey],
    ['user_data', bound.userData],
    ['nonce', bound.nonce],
  ];
}

/** What the good document satisfies. */
export function goodPolicy(module: ForgedModule): AttestationPolicy {
  return {
    roots: [module.pinned],
    measurements: [measurement],
    networkId,
    freshness: { kind: 'nonce', nonce: bound.nonce },
    publicKey: bound.publicKey,
    userData: bound.userData,
    maxSkewMs: 60_000,
  };
}
