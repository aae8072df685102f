import { systemRng } from '../../enclave/primitives.ts';
import type { Cloud, DataKeys } from '../../enclave/sealing/cloud.ts';
import { openRecord, type RecordPlace, sealRecord } from '../../enclave/sealing/sealed-record.ts';
import type { ObjectStore } from '../../enclave/store/object-store.ts';
import { KmsError } from '../../shared/errors.ts';
import { digest, partyId } from '../../shared/ids.ts';

/** What may happen before each effect of a bucket: tests crash, fail or wait here. */
export type Effect = 'get' | 'create' | 'delete' | 'list';

/** A bucket in memory; copy() is what a thief gets, and what an operator can put back later. */
export class MemoryObjects implements ObjectStore {
  readonly objects: Map<string, Uint8Array>;
  before: (effect: Effect, key: string) => void | Promise<void> = () => {};

  constructor(objects: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.objects = new Map(objects);
  }

  copy(): MemoryObjects {
    return new MemoryObjects(this.objects);
  }

  async get(key: string, maxBytes: number): Promise<Uint8Array | undefined> {
    await this.before('get', key);
    const found = this.objects.get(key);
    if (found !== undefined && found.length > maxBytes)
      throw new KmsError('TOO_LARGE', 'the object is too large');
    return found?.slice();
  }

  async create(key: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    await this.before('create', key);
    if (this.objects.has(key)) return 'exists';
    this.objects.set(key, bytes.slice());
    return 'created';
  }

  async delete(key: string): Promise<void> {
    await this.before('delete', key);
    this.objects.delete(key);
  }

  async list(prefix: string): Promise<readonly string[]> {
    await this.before('list', prefix);
    return [...this.objects.keys()].filter((key) => key.startsWith(prefix)).sort();
  }
}

/** Data keys under a key that lives as long as this object; each blob opens for its purpose only. */
export class MemoryDataKeys implements DataKeys {
  readonly #key = systemRng(32);
  before: (what: 'generate' | 'open', purpose: string) => void | Promise<void> = () => {};

  async generate(purpose: string): ReturnType<DataKeys['generate']> {
    await this.before('generate', purpose);
    const plaintext = systemRng(32);
    const blob = sealRecord(this.#key, placeOf(purpose), plaintext, systemRng);
    return { plaintext, blobs: [{ kmsKey: 'memory', blob }] };
  }

  async open(...[blobs, purpose]: Parameters<DataKeys['open']>): Promise<Uint8Array> {
    await this.before('open', purpose);
    try {
      return openRecord(this.#key, placeOf(purpose), blobs[0]!.blob);
    } catch {
      throw new KmsError('KMS_REFUSED', 'not a blob of this key and purpose');
    }
  }
}

export class MemoryCloud implements Cloud {
  readonly objects: MemoryObjects;
  readonly dataKeys: MemoryDataKeys;

  constructor(objects = new MemoryObjects(), dataKeys = new MemoryDataKeys()) {
    this.objects = objects;
    this.dataKeys = dataKeys;
  }

  /** The bucket as it is now, under the same key. */
  copy(): MemoryCloud {
    return new MemoryCloud(this.objects.copy(), this.dataKeys);
  }
}

function placeOf(purpose: string): RecordPlace {
  return {
    ...{ type: 'record', id: purpose, scope: 'memory', version: 1 },
    ...{ party: partyId(1), networkId: digest('00'.repeat(32)) },
  };
}
