import 'reflect-metadata';
import { createHash } from 'node:crypto';
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509';
import type { CborKey, CborValue } from '../../shared/attestation/cbor.ts';
import { writeCbor } from '../../shared/attestation/cbor-writer.ts';
import { signedBytes, writeSign1 } from '../../shared/attestation/cose.ts';
import { PCR_COUNT } from '../../shared/attestation/document.ts';
import { MOCK_MEASUREMENT, ROOTS } from '../../shared/attestation/roots/mock.ts';
import { KmsError } from '../../shared/errors.ts';
import { type Measurement, PCR_BYTES } from '../../shared/network/measurement.ts';
import type { Rng } from '../../shared/primitives.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { NsmClient } from '../nsm/client.ts';
import type { AttestationRequest } from '../nsm/nsm.ts';
import { decodeRequest } from '../nsm/request.ts';
import { encodeResponse, type NsmErrorCode, type NsmResponse } from '../nsm/response.ts';
import { systemRng } from '../primitives.ts';
import type { OpenPlatform, Platform } from './platform.ts';

/*
 * The platform of mock enclaves, whole: an imitation of the security module. It is an ordinary process that its operator can
 * read; only networks whose id says mock accept it. No other build contains this file.
 */

/**
 * The private key of the mock root, PKCS#8. It protects nothing: it is here for everybody to read, so that every mock
 * node's documents verify against the one root that mock builds pin.
 */
const MOCK_ROOT_KEY =
  'MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDC4oUvSwjmii6tJ/fVYJNq4zEgTHRk3+f/AEW054nhQsAkW8naf' +
  'nLzUBQHMnlH1uWOhZANiAATpi7KIYHSetjQ/BokbusPZMi/jUxjSGZRFMMdRHaICqCv67IEQFB1KrfAGUTOE5vLTnn6YgIn/' +
  's0aU57WFRlcF3ttS93Y+T+X1SF9sAhwmpr7qTRAL1OE+O3Co/vqHu8w=';

const CURVE = { name: 'ECDSA', namedCurve: 'P-384' };
const ES384 = { ...CURVE, hash: 'SHA-384' };

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;
const LEAF_LIFE_MS = 3 * HOUR_MS;
const RENEW_BEFORE_MS = HOUR_MS / 2;
const RANDOM_BYTES = 256;
const DOMAIN = 'mock-region-1.mock.nitro-enclaves.invalid';

/** What tests replace. */
export interface MockOptions {
  readonly nowMs?: () => number;
  /** PCR0, 1, 2 and 8 from boot on. */
  readonly measurement?: Measurement;
  readonly rng?: Rng;
  /** Another root than the one of mock networks. */
  readonly root?: Issuer;
}

export const openPlatform: OpenPlatform = async () => openMockPlatform();

export function openMockPlatform(options: MockOptions = {}): Platform {
  const device = new MockSecurityModule(options);
  return { name: 'mock', nsm: new NsmClient((request) => device.respond(request)) };
}

export interface Issuer {
  readonly certificate: X509Certificate;
  readonly key: CryptoKey;
}

/** A chain as AWS makes it: root, region, zone, instance, enclave. */
export interface Evidence {
  readonly leaf: Issuer;
  readonly bundle: readonly Uint8Array[];
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Answers what /dev/nsm answers, in its encoding. */
export class MockSecurityModule {
  readonly #nowMs: () => number;
  readonly #rng: Rng;
  readonly #moduleId: string;
  readonly #root: Issuer | undefined;
  readonly #pcrs: Uint8Array[] = Array.from({ length: PCR_COUNT }, () => new Uint8Array(PCR_BYTES));
  /** As in Nitro: the lower half belongs to the platform. */
  readonly #locked = new Set(Array.from({ length: PCR_COUNT / 2 }, (_, index) => index));
  #evidence: Promise<Evidence> | undefined;

  constructor(options: MockOptions = {}) {
    this.#nowMs = options.nowMs ?? (() => Date.now());
    this.#rng = options.rng ?? systemRng;
    this.#moduleId = `i-${toHex(this.#rng(8))}-enc${toHex(this.#rng(8))}`;
    this.#root = options.root;
    const { pcr0, pcr1, pcr2, pcr8 } = options.measurement ?? MOCK_MEASUREMENT;
    for (const [index, value] of [pcr0, pcr1, pcr2].entries()) this.#pcrs[index] = value;
    if (pcr8 !== undefined) this.#pcrs[8] = pcr8;
  }

  async respond(request: Uint8Array): Promise<Uint8Array> {
    try {
      return encodeResponse(await this.#answer(request));
    } catch (error) {
      if (!(error instanceof KmsError)) throw error;
      return encodeResponse({ kind: 'Error', code: 'InvalidArgument' });
    }
  }

  async #answer(bytes: Uint8Array): Promise<NsmResponse> {
    const request = decodeRequest(bytes);
    switch (request.kind) {
      case 'Attestation':
        return { kind: request.kind, document: await this.#document(request) };
      case 'DescribePCR':
        return { kind: request.kind, lock: this.#locked.has(request.index), data: this.#pcr(request.index) };
      case 'ExtendPCR': {
        if (this.#locked.has(request.index)) return refused('ReadOnlyIndex');
        const hash = createHash('sha384').update(this.#pcr(request.index)).update(request.data);
        const data = new Uint8Array(hash.digest());
        this.#pcrs[request.index] = data;
        return { kind: request.kind, data };
      }
      case 'LockPCR':
        if (this.#locked.has(request.index)) return refused('ReadOnlyIndex');
        this.#locked.add(request.index);
        return { kind: request.kind };
      case 'DescribeNSM':
        return {
          kind: request.kind,
          description: {
            version: '1.0.0',
            moduleId: this.#moduleId,
            pcrCount: PCR_COUNT,
            lockedPcrs: [...this.#locked].sort((a, b) => a - b),
          },
        };
      case 'GetRandom':
        return { kind: request.kind, random: this.#rng(RANDOM_BYTES) };
    }
  }

  #pcr(index: number): Uint8Array {
    return this.#pcrs[index] ?? new Uint8Array(PCR_BYTES);
  }

  async #document(request: AttestationRequest): Promise<Uint8Array> {
    const { leaf, bundle } = await this.#evidenceNow();
    const locked = [...this.#locked].sort((a, b) => a - b);
    const fields: readonly (readonly [CborKey, CborValue])[] = [
      ['module_id', this.#moduleId],
      ['digest', 'SHA384'],
      ['timestamp', this.#nowMs()],
      ['pcrs', new Map(locked.map((index) => [index, this.#pcr(index)]))],
      ['certificate', derOf(leaf.certificate)],
      ['cabundle', bundle],
      ['public_key', request.publicKey ?? null],
      ['user_data', request.userData ?? null],
      ['nonce', request.nonce ?? null],
    ];
    const payload = writeCbor(new Map(fields));
    const signature = await crypto.subtle.sign(ES384, leaf.key, signedBytes(payload));
    return writeSign1({ payload, signature: new Uint8Array(signature) });
  }

  async #evidenceNow(): Promise<Evidence> {
    const nowMs = this.#nowMs();
    const old = await this.#evidence;
    if (old !== undefined && nowMs >= old.fromMs && nowMs < old.untilMs - RENEW_BEFORE_MS) return old;
    const root = this.#root ?? { certificate: rootCertificate(), key: await rootKey() };
    this.#evidence = issueEvidence({ root, moduleId: this.#moduleId, nowMs, rng: this.#rng });
    return this.#evidence;
  }
}

export interface EvidenceTerms {
  readonly root: Issuer;
  readonly moduleId: string;
  readonly nowMs: number;
  readonly rng: Rng;
  /** Of the module's own certificate; default three hours, as AWS's. */
  readonly lifeMs?: number;
  /** The module's key can be handed to another process. */
  readonly isExtractable?: boolean;
}

/** What a security module proves itself with, under a root whose private key is public. */
export async function issueEvidence(terms: EvidenceTerms): Promise<Evidence> {
  const { root, moduleId, nowMs, rng, lifeMs = LEAF_LIFE_MS, isExtractable = false } = terms;
  const instance = moduleId.slice(0, moduleId.indexOf('-enc'));
  const place = (name: string): string => `C=US,O=Threshold KMS,OU=Mock,CN=${name}`;
  const signing = KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign;
  const issue = (to: Omit<Issuance, 'nowMs' | 'serial'>): Promise<Issuer> =>
    issueCertificate({ ...to, nowMs, serial: `01${toHex(rng(15))}` });
  const region = await issue({
    ...{ by: root, subject: place(`${toHex(rng(8))}.${DOMAIN}`), pathLength: 2, usage: signing },
    ...{ agoMs: 2 * DAY_MS, lifeMs: 20 * DAY_MS },
  });
  const zone = await issue({
    ...{ by: region, subject: place(`${toHex(rng(8))}.zonal.${DOMAIN}`), pathLength: 1, usage: signing },
    ...{ agoMs: DAY_MS, lifeMs: 6 * DAY_MS },
  });
  const host = await issue({
    ...{ by: zone, subject: place(`${instance}.${DOMAIN}`), pathLength: 0, usage: KeyUsageFlags.keyCertSign },
    ...{ agoMs: HOUR_MS, lifeMs: Math.max(DAY_MS, lifeMs + 2 * HOUR_MS) },
  });
  const leaf = await issue({
    ...{ by: host, subject: place(`${moduleId}.mock-region-1`), pathLength: 'none', isExtractable },
    ...{ usage: KeyUsageFlags.digitalSignature | KeyUsageFlags.nonRepudiation },
    ...{ agoMs: 3 * SECOND_MS, lifeMs },
  });
  const { notBefore, notAfter } = leaf.certificate;
  return {
    leaf,
    bundle: [root, region, zone, host].map(({ certificate }) => derOf(certificate)),
    fromMs: notBefore.getTime(),
    untilMs: notAfter.getTime(),
  };
}

interface Issuance {
  readonly by: Issuer;
  readonly subject: string;
  readonly serial: string;
  /** `none` for an enclave's own certificate, which issues nothing. */
  readonly pathLength: number | 'none';
  readonly usage: number;
  readonly nowMs: number;
  readonly agoMs: number;
  readonly lifeMs: number;
  readonly isExtractable?: boolean;
}

async function issueCertificate(to: Issuance): Promise<Issuer> {
  const keys = await crypto.subtle.generateKey(CURVE, to.isExtractable ?? false, ['sign', 'verify']);
  const isCa = to.pathLength !== 'none';
  const certificate = await X509CertificateGenerator.create(
    {
      serialNumber: to.serial,
      subject: to.subject,
      issuer: to.by.certificate.subjectName,
      notBefore: new Date(to.nowMs - to.agoMs),
      notAfter: new Date(to.nowMs - to.agoMs + to.lifeMs),
      signingAlgorithm: ES384,
      publicKey: keys.publicKey,
      signingKey: to.by.key,
      extensions: [
        new BasicConstraintsExtension(isCa, to.pathLength === 'none' ? undefined : to.pathLength, true),
        await SubjectKeyIdentifierExtension.create(keys.publicKey, false, crypto),
        new KeyUsagesExtension(to.usage, isCa),
      ],
    },
    crypto,
  );
  return { certificate, key: keys.privateKey };
}

function rootCertificate(): X509Certificate {
  const [root] = ROOTS;
  if (root === undefined) throw new KmsError('INTERNAL', 'there is no mock root');
  return new X509Certificate(Uint8Array.from(root.der));
}

/** For whoever plays a part under the mock root: the security module here, the stand-ins of cloud services outside. */
export function rootKey(): Promise<CryptoKey> {
  const pkcs8 = Uint8Array.from(atob(MOCK_ROOT_KEY), (character) => character.charCodeAt(0));
  return crypto.subtle.importKey('pkcs8', pkcs8, CURVE, false, ['sign']);
}

function derOf(certificate: X509Certificate): Uint8Array {
  return new Uint8Array(certificate.rawData);
}

function refused(code: NsmErrorCode): NsmResponse {
  return { kind: 'Error', code };
}
