import { describe, expect, test } from 'vitest';
import type * as driverModule from '../../enclave/machine-driver.ts';
import { type DriverPorts, MachineDriver } from '../../enclave/machine-driver.ts';
import { type PartyId, partyId } from '../../shared/ids.ts';
import type { Effect, Machine } from '../../shared/protocol/machine.ts';
import { MemoryStore } from '../simulator/memory-store.ts';
import { attackBoth } from './mutant.ts';

const DRIVER = 'enclave/machine-driver.ts';
const [peer, other] = [2, 3].map((id) => partyId(id)) as [PartyId, PartyId];
const turn = (ms = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const bytes = (i: number): Uint8Array => new Uint8Array([i]);

/** Notes what it is given and answers with the effects it was made with. */
class Recorder implements Machine {
  readonly steps: string[] = [];
  nextWakeMs: number | undefined;
  readonly #effects: (message: Uint8Array) => readonly Effect[];

  constructor(effects: (message: Uint8Array) => readonly Effect[] = () => []) {
    this.#effects = effects;
  }

  start(): readonly Effect[] {
    this.steps.push('start');
    return [];
  }

  receive(from: PartyId, message: Uint8Array): readonly Effect[] {
    this.steps.push(`${from}:${message[0]}`);
    return this.#effects(message);
  }

  tick(): readonly Effect[] {
    this.steps.push('tick');
    return [];
  }
}

/** A store whose writes end when they are told to. */
class HeldStore extends MemoryStore {
  readonly #writes: (() => void)[] = [];
  failing = false;

  override async put(name: string, record: Uint8Array): Promise<void> {
    await new Promise<void>((resolve) => this.#writes.push(resolve));
    if (this.failing) throw new Error('disk full');
    await super.put(name, record);
  }

  release(): void {
    for (const write of this.#writes.splice(0)) write();
  }
}

function ports(store: MemoryStore) {
  const log: string[] = [];
  const given: DriverPorts = {
    store,
    send: (to, message) => log.push(`send ${to}:${message[0]} with ${store.records.size} records`),
    nowMs: () => performance.now(),
    onFailure: (error) => log.push(`failed: ${error instanceof Error ? error.message : ''}`),
    onStep: () => () => log.push('done'),
  };
  return { log, ports: given };
}

const persistThenSend = (message: Uint8Array): readonly Effect[] => [
  { kind: 'persist', name: `x/${message[0]}`, record: message },
  { kind: 'send', to: peer, message },
];

describe('machine driver', () => {
  test('driver: a peer whose messages wait for the store is held back, and goes on when they are done', async () => {
    const outcome = await attackBoth(
      'no-backpressure',
      [
        {
          file: DRIVER,
          find: '(this.#pending.get(from) ?? 0) < MAX_PENDING_PER_PEER)',
          replace: '(this.#pending.get(from) ?? 0) < 1e9 * MAX_PENDING_PER_PEER)',
        },
      ],
      async (load) => {
        const { MachineDriver: Driver } = await load<typeof driverModule>(DRIVER);
        const store = new HeldStore();
        const machine = new Recorder(persistThenSend);
        const driver = new Driver(machine, ports(store).ports);
        driver.start();
        const taken = new Map<PartyId, number>();
        // The transport's side: the next message of a peer is read when the last one is done.
        const flood = async (from: PartyId): Promise<void> => {
          for (let i = 0; i < 400; i++) {
            await driver.receive(from, bytes(i));
            taken.set(from, i + 1);
          }
        };
        const floods = [flood(peer), flood(other)];
        await turn(300);
        const takenWhileBusy = [peer, other].map((from) => taken.get(from));
        // Each has its own bound, and none is held back once its messages are done.
        if (takenWhileBusy[0] !== 400) expect(takenWhileBusy).toEqual([255, 255]);
        const releasing = setInterval(() => store.release(), 0);
        await Promise.all(floods);
        clearInterval(releasing);
        driver.stop();
        return takenWhileBusy.some((count) => count === 400);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('driver: what a machine makes durable may wait for words that come behind messages of the same peers', async () => {
    const outcome = await attackBoth(
      'steps-wait-for-effects',
      [
        {
          file: DRIVER,
          find: '(this.#pending.get(from) ?? 0) < MAX_PENDING_PER_PEER) return;',
          replace: '(this.#pending.get(from) ?? 0) < 1 && MAX_PENDING_PER_PEER > 0) return;',
        },
      ],
      async (load) => {
        const { MachineDriver: Driver } = await load<typeof driverModule>(DRIVER);
        // As a change of state: in effect when a peer says that it holds it.
        const store = new HeldStore();
        const { log, ports: given } = ports(store);
        const driver = new Driver(new Recorder(persistThenSend), given);
        driver.start();
        // One stream: messages of the protocol, and behind them the word that all of them wait for.
        const stream = (async () => {
          for (let i = 0; i < 100; i++) await driver.receive(peer, bytes(i));
          const releasing = setInterval(() => store.release(), 0);
          await turn(100);
          clearInterval(releasing);
        })();
        const isStuck = await Promise.race([stream.then(() => false), turn(500).then(() => true)]);
        driver.stop();
        store.release();
        if (!isStuck) expect(log.some((line) => line.startsWith('send'))).toBe(true);
        return isStuck;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('driver: a held peer is read on after a while, since the word that ends the wait may be its own', async () => {
    const outcome = await attackBoth(
      'held-for-ever',
      [
        {
          file: DRIVER,
          find: 'setTimeout(resolve, MAX_HOLD_MS)',
          replace: 'setTimeout(resolve, 1000 * MAX_HOLD_MS)',
        },
      ],
      async (load) => {
        const { MachineDriver: Driver } = await load<typeof driverModule>(DRIVER);
        const store = new HeldStore();
        const driver = new Driver(new Recorder(persistThenSend), ports(store).ports);
        driver.start();
        const flood = Promise.all(Array.from({ length: 300 }, (_, i) => driver.receive(peer, bytes(i))));
        const isStuck = await Promise.race([flood.then(() => false), turn(4_000).then(() => true)]);
        driver.stop();
        store.release();
        return isStuck;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('driver: nothing is sent before what stands in front of it is durable', async () => {
    const outcome = await attackBoth(
      'send-at-once',
      [{ file: DRIVER, find: 'await this.#ports.store.change(', replace: 'void this.#ports.store.change(' }],
      async (load) => {
        const { MachineDriver: Driver } = await load<typeof driverModule>(DRIVER);
        const store = new HeldStore();
        const { log, ports: given } = ports(store);
        const driver = new Driver(new Recorder(persistThenSend), given);
        driver.start();
        void driver.receive(peer, bytes(1));
        await turn(20);
        const early = log.filter((line) => line.startsWith('send'));
        store.release();
        await turn(20);
        driver.stop();
        expect(log.filter((line) => line.startsWith('send')).length).toBe(1);
        return early.length > 0;
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('driver: a peer that keeps the queue full stops no deadline', async () => {
    const outcome = await attackBoth(
      'messages-first',
      [
        {
          file: DRIVER,
          find: 'if (isDue && !this.#hasTicked) {',
          replace: 'if (isDue && this.#steps.length === 0) {',
        },
      ],
      async (load) => {
        const { MachineDriver: Driver } = await load<typeof driverModule>(DRIVER);
        const machine = new Recorder();
        const driver = new Driver(machine, ports(new MemoryStore()).ports);
        driver.start();
        for (let i = 0; i < 50; i++) void driver.receive(peer, bytes(i));
        machine.nextWakeMs = 0;
        const ended = driver.receive(other, bytes(99));
        await ended;
        driver.stop();
        return !machine.steps.slice(0, 20).includes('tick');
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('driver: a deadline that is always due does not keep messages out', async () => {
    const outcome = await attackBoth(
      'ticks-only',
      [{ file: DRIVER, find: 'if (isDue && !this.#hasTicked) {', replace: 'if (isDue) {' }],
      async (load) => {
        const { MachineDriver: Driver } = await load<typeof driverModule>(DRIVER);
        const machine = new Recorder();
        machine.nextWakeMs = 0;
        const driver = new Driver(machine, ports(new MemoryStore()).ports);
        driver.start();
        void driver.receive(peer, bytes(1));
        await turn(20);
        driver.stop();
        return !machine.steps.includes(`${peer}:1`);
      },
    );
    expect(outcome).toEqual({ withRule: false, withoutRule: true });
  });

  test('driver: after a failed write nothing more is said, and nobody is held back for ever', async () => {
    const store = new HeldStore();
    store.failing = true;
    const { log, ports: given } = ports(store);
    const machine = new Recorder(persistThenSend);
    const driver = new MachineDriver(machine, given);
    driver.start();
    const first = driver.receive(peer, bytes(1));
    const second = driver.receive(other, bytes(2));
    await turn(5);
    store.release();
    await Promise.all([first, second]);
    await turn(5);
    await driver.receive(peer, bytes(3));
    await turn(5);
    expect(log.filter((line) => line.startsWith('send'))).toEqual([]);
    expect(log.at(-1)).toBe('failed: disk full');
    // Steps do not wait for effects; what comes after the failure is no step any more.
    expect(machine.steps).toEqual(['start', `${peer}:1`, `${other}:2`]);
  });

  test('driver: what a stopped driver was doing ends before its next effect', async () => {
    const store = new HeldStore();
    const { log, ports: given } = ports(store);
    const driver = new MachineDriver(new Recorder(persistThenSend), given);
    driver.start();
    const held = driver.receive(peer, bytes(1));
    await turn(5);
    driver.stop();
    store.release();
    await held;
    await turn(5);
    expect(log.filter((line) => line.startsWith('send'))).toEqual([]);
  });
});
