import { KmsError } from '../../shared/errors.ts';
import { type Measurement, registersOf } from '../../shared/network/measurement.ts';
import { toHex } from '../../shared/wire/bytes.ts';
import { readCpio } from './cpio-reader.ts';
import type { EnclaveImage } from './image.ts';
import { type ListedEntry, listedEntry, sha256 } from './listing.ts';
import { decodeMetadata } from './metadata.ts';
import { measure } from './pcr.ts';

/** Where a file of the image comes from: a package, this repository, a source archive. */
export interface Origin {
  readonly name: string;
  readonly version: string;
  /** Package URL, if it has one: `pkg:deb/debian/libc6@2.36-9?arch=amd64`. */
  readonly purl?: string;
  /** Of what was fetched, lower-case hex. */
  readonly sha256?: string;
}

/** Undefined: nobody knows, and there is no list. @param path with a leading slash */
export type OriginOf = (ramdisk: number, path: string) => Origin | undefined;

export interface SbomSource {
  readonly image: EnclaveImage;
  readonly kernel: Origin;
  readonly originOf: OriginOf;
}

/** CycloneDX 1.6 in JSON, the fields used here. @see ECMA-424 */
export interface CycloneDx {
  readonly bomFormat: 'CycloneDX';
  readonly specVersion: '1.6';
  readonly version: 1;
  readonly metadata: { readonly timestamp: string; readonly component: Component };
  readonly components: readonly Component[];
}

export interface Component {
  readonly type: 'application' | 'file' | 'firmware' | 'operating-system';
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly hashes?: readonly Hash[];
  readonly properties?: readonly Property[];
  readonly components?: readonly Component[];
}

interface Hash {
  readonly alg: 'SHA-256';
  readonly content: string;
}

interface Property {
  readonly name: string;
  readonly value: string;
}

/**
 * The list of every file and link in the image by its origin, read back from the image itself. The same image and origins
 * give the same list.
 * @throws {KmsError} BAD_INPUT for a file without an origin, BAD_ENCODING
 */
export function sbomOf({ image, kernel, originOf }: SbomSource): CycloneDx {
  const { imageName, imageVersion, build } = decodeMetadata(image.metadata);
  const byOrigin = new Map<string, { readonly origin: Origin; readonly files: Component[] }>();
  const add = (origin: Origin, file: Component): void => {
    const ref = refOf(origin);
    const group = byOrigin.get(ref) ?? { origin, files: [] };
    group.files.push(file);
    byOrigin.set(ref, group);
  };
  image.ramdisks.forEach((ramdisk, index) => {
    for (const entry of readCpio(ramdisk).map(listedEntry)) {
      if (entry.kind !== 'file' && entry.kind !== 'link') continue;
      const origin = originOf(index, entry.path);
      if (origin === undefined) {
        throw new KmsError('BAD_INPUT', `nobody says where ${entry.path} of ramdisk ${index} comes from`);
      }
      add(origin, fileComponent(index, entry));
    }
  });
  const packages = [...byOrigin.values()].map(({ origin, files }) => ({
    ...originComponent(origin, 'application'),
    components: files,
  }));
  const ofKernel: Component = {
    ...originComponent(kernel, 'operating-system'),
    'bom-ref': `kernel:${refOf(kernel)}`,
    components: [
      { type: 'file', 'bom-ref': 'section:kernel', name: 'kernel', hashes: [hash(sha256(image.kernel))] },
    ],
  };
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: build.time,
      component: {
        type: 'firmware',
        'bom-ref': 'image',
        name: imageName,
        version: imageVersion,
        properties: registersAsProperties(measure(image)),
      },
    },
    components: [ofKernel, ...packages.sort((a, b) => (a['bom-ref'] < b['bom-ref'] ? -1 : 1))],
  };
}

/** The text of the list's file. */
export function sbomText(sbom: CycloneDx): string {
  return `${JSON.stringify(sbom, undefined, 1)}\n`;
}

function refOf({ name, version, purl }: Origin): string {
  return purl ?? `${name}@${version}`;
}

function originComponent(origin: Origin, type: Component['type']): Component {
  const { name, version, purl } = origin;
  return {
    type,
    'bom-ref': refOf(origin),
    name,
    version,
    ...(purl === undefined ? {} : { purl }),
    ...(origin.sha256 === undefined ? {} : { hashes: [hash(origin.sha256)] }),
  };
}

function fileComponent(ramdisk: number, entry: ListedEntry): Component {
  const { path, mode, target } = entry;
  return {
    type: 'file',
    'bom-ref': `ramdisk${ramdisk}:${path}`,
    name: path,
    ...(entry.sha256 === undefined ? {} : { hashes: [hash(entry.sha256)] }),
    properties: [
      { name: 'kms:ramdisk', value: `${ramdisk}` },
      { name: 'kms:mode', value: mode },
      ...(target === undefined ? [] : [{ name: 'kms:link-target', value: target }]),
    ],
  };
}

function hash(content: string): Hash {
  return { alg: 'SHA-256', content };
}

function registersAsProperties(measurement: Measurement): readonly Property[] {
  return registersOf(measurement).map(([name, value]) => ({ name: `kms:${name}`, value: toHex(value) }));
}
