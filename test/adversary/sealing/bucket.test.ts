import { describe, expect, it } from 'vitest';
import { nodePrimitives, systemRng } from '../../../enclave/primitives.ts';
import type * as RecordFile from '../../../enclave/sealing/sealed-record.ts';
import type { RecordPlace } from '../../../enclave/sealing/sealed-record.ts';
import { createTierOne, openTierOne } from '../../../enclave/sealing/tier-one.ts';
import type * as StoreFile from '../../../enclave/store/versioned-store.ts';
import type { VersionedStore } from '../../../enclave/store/versioned-store.ts';
import { codeOf, KmsError } from '../../../shared/errors.ts';
import { digest, partyId } from '../../../shared/ids.ts';
import { MemoryCloud, MemoryObjects } from '../../simulator/memory-cloud.ts';
import { pause } from '../membership/live-nodes.ts';
import { attackBoth, type Edit } from '../mutant.ts';

const RECORD = 'enclave/sealing/sealed-record.ts';
const STORE = 'enclave/store/versioned-store.ts';
const GARBAGE = 'enclave/store/garbage.ts';
const networkId = digest('11'.repeat(32));
const party = partyId(1);
const key = new Uint8Array(32).fill(7);
const both = { withRule: false, withoutRule: true };
const bytes = (value: number, sizeBytes = 20): Uint8Array => new Uint8Array(sizeBytes).fill(value);

function storeOn(
  objects: MemoryObjects,
  change: Partial<StoreFile.VersionedStoreOptions> = {},
): StoreFile.VersionedStoreOptions {
  return {
    ...{ objects, id: 'x', networkId, party, rng: systemRng, manifestScope: 'm' },
    ...{ scopeOf: () => 's', keyOf: () => key },
    ...change,
  };
}

async function open(objects: MemoryObjects, change: Partial<StoreFile.VersionedStoreOptions> = {}) {
  const { VersionedStore: Store } = await import('../../../enclave/store/versioned-store.ts');
  return Store.open(storeOn(objects, change), undefined);
}

describe('attack on a sealed record by moving it', () => {
  const place: RecordPlace = { type: 'record', id: 'x/a', scope: 'node', version: 4, party, networkId };
  const moves: readonly (readonly [string, string, Partial<RecordPlace>])[] = [
    ['type', 'type', { type: 'manifest' }],
    ['name', 'id', { id: 'x/b' }],
    ['scope and epoch', 'scope', { scope: `key/${'ab'.repeat(32)}/1` }],
    ['version', 'version', { version: 5 }],
    ['node', 'party', { party: partyId(2) }],
    ['network', 'fromHex(networkId)', { networkId: digest('22'.repeat(32)) }],
  ];

  it.each(moves)('record: to another %s', async (_what, field, to) => {
    const constant = field === 'version' || field === 'party' ? '0' : "''";
    const edits: readonly Edit[] = [
      {
        file: RECORD,
        find: `    ${field},\n`,
        replace: `    void ${field === 'fromHex(networkId)' ? '[fromHex, networkId]' : field} ?? ${constant},\n`,
      },
    ];
    const outcome = await attackBoth(`moved-${field.slice(0, 4)}`, edits, async (load) => {
      const { sealRecord, openRecord } = await load<typeof RecordFile>(RECORD);
      const sealed = sealRecord(key, place, bytes(1), systemRng);
      expect(openRecord(key, place, sealed)).toEqual(bytes(1));
      try {
        openRecord(key, { ...place, ...to }, sealed);
        return true;
      } catch (error) {
        expect(codeOf(error)).toBe('STORE_FAILED');
        return false;
      }
    });
    expect(outcome).toEqual(both);
  });

  it('record: every bit of it counts, and every cut', async () => {
    const { sealRecord, openRecord } = await import('../../../enclave/sealing/sealed-record.ts');
    const sealed = sealRecord(key, place, bytes(1), systemRng);
    for (let bit = 0; bit < 8 * sealed.length; bit++) {
      const altered = sealed.slice();
      altered[bit >> 3] = altered[bit >> 3]! ^ (1 << (bit & 7));
      expect(() => openRecord(key, place, altered)).toThrow(
        expect.objectContaining({ code: 'STORE_FAILED' }),
      );
    }
    for (let length = 0; length < sealed.length; length++) {
      expect(() => openRecord(key, place, sealed.subarray(0, length))).toThrow();
    }
  });
});

describe('attack on a store by its bucket', () => {
  it('store: another process has written the next version', async () => {
    const edits = [
      {
        file: STORE,
        find: 'if (found !== undefined && equalBytes(found, sealed)) return;',
        replace: 'if (found !== undefined && equalBytes(sealed, sealed)) return;',
      },
    ];
    const outcome = await attackBoth('two-writers', edits, async (load) => {
      const { VersionedStore: Store } = await load<typeof StoreFile>(STORE);
      const objects = new MemoryObjects();
      const [one, other] = [
        await Store.open(storeOn(objects), undefined),
        await Store.open(storeOn(objects), undefined),
      ];
      await one.put('a', bytes(1));
      const second = await other.put('a', bytes(2)).then(() => 'written', codeOf);
      if (second === 'written') return true;
      expect(second).toBe('STORE_FAILED');
      // For good: it knows that what it has is not the state.
      expect(await other.put('b', bytes(2)).then(() => 'written', codeOf)).toBe('STORE_FAILED');
      return false;
    });
    expect(outcome).toEqual(both);
  });

  it('store: a process that starts takes the objects of another one that is writing for garbage', async () => {
    const edits = [
      {
        file: STORE,
        find: 'return new VersionedStore(options, manifest, state);',
        replace:
          'const opened = new VersionedStore(options, manifest, state);\n    opened.#garbage.written(manifest);\n    await opened.collectGarbage();\n    return opened;',
      },
    ];
    const outcome = await attackBoth('foreign-garbage', edits, async (load) => {
      const { VersionedStore: Store } = await load<typeof StoreFile>(STORE);
      const objects = new MemoryObjects();
      const writer: VersionedStore = await Store.open(storeOn(objects), undefined);
      await writer.put('a', bytes(1));
      // Between its object and the manifest that names it another process of the node starts.
      objects.before = async (effect, name) => {
        if (effect !== 'create' || !name.includes('manifests')) return;
        objects.before = () => {};
        await Store.open(storeOn(objects), undefined);
      };
      await writer.put('big', bytes(2, 5_000));
      return writer.get('big').then(
        () => false,
        () => true,
      );
    });
    expect(outcome).toEqual(both);
  });

  it('store: what it writes while it looks for garbage is none', async () => {
    const edits = [{ file: GARBAGE, find: 'this.#known?.add(key);', replace: 'void key;' }];
    const outcome = await attackBoth('own-garbage', edits, async (load) => {
      const { VersionedStore: Store } = await load<typeof StoreFile>(STORE);
      const objects = new MemoryObjects();
      const store: VersionedStore = await Store.open(storeOn(objects), undefined);
      await store.put('a', bytes(1));
      let isDone = false;
      // A record is made, and named, after the search has begun and before the bucket answers; another one has no name yet.
      const unnamed = Promise.withResolvers<void>();
      let last: Promise<void> | undefined;
      objects.before = async (effect, name) => {
        if (effect === 'list' && !isDone) {
          isDone = true;
          await store.put('big', bytes(2, 5_000));
          last = store.put('bigger', bytes(3, 6_000));
          await pause(20);
        }
        if (effect === 'create' && name.endsWith('manifests/0000000003')) await unnamed.promise;
      };
      await store.collectGarbage();
      unnamed.resolve();
      await last;
      const lost = ['big', 'bigger'].map((name) =>
        store.get(name).then(
          () => false,
          () => true,
        ),
      );
      return (await Promise.all(lost)).some((one) => one);
    });
    expect(outcome).toEqual(both);
  });

  it('store: an object is lost, altered or exchanged for another', async () => {
    const objects = new MemoryObjects();
    const store = await open(objects);
    await store.put('a', bytes(1, 5_000));
    await store.put('b', bytes(2, 5_000));
    const [first, second] = await objects.list('x/objects/');
    const whole = new Map(objects.objects);
    const expectLost = async (): Promise<void> => {
      const codes = await Promise.all(['a', 'b'].map((name) => store.get(name).then(() => 'read', codeOf)));
      expect(codes).toContain('STORE_FAILED');
      for (const [name, body] of whole) objects.objects.set(name, body);
      expect(await store.get('a')).toEqual(bytes(1, 5_000));
    };
    objects.objects.delete(first!);
    await expectLost();
    objects.objects.set(first!, whole.get(first!)!.with(100, 0));
    await expectLost();
    objects.objects.set(first!, whole.get(second!)!);
    await expectLost();
  });

  it('store: a bucket that is full or denies: changes wait, go on later, and nothing is lost', async () => {
    const objects = new MemoryObjects();
    const troubles: string[] = [];
    const store = await open(objects, { onTrouble: (error) => troubles.push(codeOf(error)) });
    await store.put('a', bytes(1));
    objects.before = (effect) => {
      if (effect === 'create') throw new KmsError('UNAVAILABLE', 'full');
    };
    const waiting = [store.put('a', bytes(2)), store.put('b', bytes(3, 3_000))];
    expect(await Promise.race([Promise.all(waiting), pause(120).then(() => 'waits')])).toBe('waits');
    expect(troubles).toContain('UNAVAILABLE');
    objects.before = () => {};
    await Promise.all(waiting);
    const again = await open(objects);
    expect([await again.get('a'), await again.get('b')]).toEqual([bytes(2), bytes(3, 3_000)]);
  });

  it('store: an answer that is lost: the same write again finds its first attempt', async () => {
    const objects = new MemoryObjects();
    const store = await open(objects);
    const create = objects.create.bind(objects);
    let lost = 0;
    objects.create = async (name, body) => {
      const done = await create(name, body);
      if (lost++ < 2) throw new KmsError('TIMEOUT', 'no answer');
      return done;
    };
    await store.put('big', bytes(4, 3_000));
    expect(lost).toBeGreaterThan(2);
    expect((await open(objects)).state.version).toBe(1);
  });

  it('store: a list that is behind is made up for; junk at the end of the series means nothing', async () => {
    const objects = new MemoryObjects();
    const store = await open(objects);
    for (let i = 1; i <= 5; i++) await store.put('a', bytes(i));
    const list = objects.list.bind(objects);
    objects.list = async (prefix) => (await list(prefix)).filter((name) => !name.endsWith('5'));
    expect(await (await open(objects)).get('a')).toEqual(bytes(5));
    objects.list = list;
    const { state } = store;
    objects.objects.set('x/manifests/0000000006', bytes(9, 300));
    const { VersionedStore: Store } = await import('../../../enclave/store/versioned-store.ts');
    expect((await Store.open(storeOn(objects), state)).state).toEqual(state);
    // Whoever looks at the bucket alone does not know that.
    await expect(open(objects)).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  it('store: closed while a change waits for others: it fails, and nothing more is written', async () => {
    const objects = new MemoryObjects();
    const store = await open(objects, { acknowledge: () => new Promise(() => {}) });
    const waiting = [store.put('a', bytes(1)).then(() => 'done', codeOf)];
    await pause(20);
    waiting.push(store.put('b', bytes(1)).then(() => 'done', codeOf));
    store.close();
    expect(await Promise.race([Promise.all(waiting), pause(500)])).toEqual([
      'SESSION_CLOSED',
      'SESSION_CLOSED',
    ]);
    expect(await store.put('c', bytes(1)).then(() => 'done', codeOf)).toBe('SESSION_CLOSED');
    expect(await objects.list('x/manifests/')).toHaveLength(1);
  });

  it('store: changes of one turn are one version; two versions are kept, and what they name', async () => {
    const objects = new MemoryObjects();
    const store = await open(objects);
    await Promise.all([1, 2, 3].map((i) => store.put(`r/${i}`, bytes(i, 2_000))));
    expect(store.state.version).toBe(1);
    for (let i = 1; i <= 4; i++) await store.put('r/1', bytes(i, 2_000));
    await store.collectGarbage();
    expect(await objects.list('x/manifests/')).toEqual(['x/manifests/0000000004', 'x/manifests/0000000005']);
    expect(await objects.list('x/objects/')).toHaveLength(4);
    await store.delete('nothing');
    expect(store.state.version).toBe(5);
    await expect(store.put('../a', bytes(1))).rejects.toMatchObject({ code: 'BAD_INPUT' });
  });
});

describe('tier 1', () => {
  const place = (cloud: MemoryCloud, change = {}) => ({
    ...{ cloud, networkId, party, hashes: nodePrimitives, rng: systemRng },
    ...change,
  });

  it('tier 1: of another party or network does not open, nor under another data key', async () => {
    const cloud = new MemoryCloud();
    expect(await openTierOne(place(cloud))).toBeUndefined();
    await (await createTierOne(place(cloud))).put('node/boot-key', bytes(1, 32));
    expect(await (await openTierOne(place(cloud)))!.get('node/boot-key')).toEqual(bytes(1, 32));
    const elsewhere = [{ party: partyId(2) }, { networkId: digest('22'.repeat(32)) }];
    for (const change of elsewhere) {
      await expect(openTierOne(place(cloud, change))).rejects.toMatchObject({ code: 'STORE_FAILED' });
    }
    const foreign = new MemoryCloud(cloud.objects);
    await expect(openTierOne(place(foreign))).rejects.toMatchObject({ code: 'KMS_REFUSED' });
    // A header of the operator's own making, under the right KMS key.
    const other = new MemoryCloud(new MemoryObjects(), cloud.dataKeys);
    await createTierOne(place(other));
    cloud.objects.objects.set('tier-1/headers/0001', other.objects.objects.get('tier-1/headers/0001')!);
    await expect(openTierOne(place(cloud))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });

  it('tier 1: a node is founded once in a bucket, whatever else of it has been removed', async () => {
    const cloud = new MemoryCloud();
    await (await createTierOne(place(cloud))).put('a', bytes(1));
    await expect(createTierOne(place(cloud))).rejects.toMatchObject({ code: 'CONFLICT' });
    cloud.objects.objects.delete('tier-1/headers/0001');
    await expect(createTierOne(place(cloud))).rejects.toMatchObject({ code: 'STORE_FAILED' });
  });
});
