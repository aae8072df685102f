import { expect, test } from 'vitest';
import type * as kernelModule from '../../shared/math/kernel/kernel.ts';
import type { KeyGeneration } from '../../shared/protocol/keygen/keygen.ts';
import { type KeygenMessage, keygenMessage } from '../../shared/protocol/keygen/messages.ts';
import { setupMessage } from '../../shared/protocol/setup/messages.ts';
import { decode } from '../../shared/wire/codec.ts';
import type * as factoryModule from '../simulator/committee-keys.ts';
import { type Rule, Simulation } from '../simulator/simulation.ts';
import { attackBoth, type Edit } from './mutant.ts';

type Load = <Module>(file: string) => Promise<Module>;

const isTranscriptSignature = (message: KeygenMessage): boolean =>
  message.kind === 'setup' && decode(setupMessage, message.body).kind === 'signature';

/** Does a party ever say this while its disk lacks what it needs to honour it? */
async function speaksTooEarly(
  load: Load,
  says: (message: KeygenMessage) => boolean,
  record: string,
): Promise<boolean> {
  const { Kernel } = await load<typeof kernelModule>('shared/math/kernel/kernel.ts');
  const { keygenFactory } = await load<typeof factoryModule>('test/simulator/committee-keys.ts');
  const factory = keygenFactory(await Kernel.load());
  const [counts, rules]: [{ early: number; said: number }, Rule[]] = [{ early: 0, said: 0 }, []];
  const sim = new Simulation<KeyGeneration>({ n: 4, t: 1, seed: 'durable', factory, rules });
  rules.push((delivery) => {
    if (!says(decode(keygenMessage, delivery.message))) return [delivery];
    counts.said++;
    const isDurable = [...sim.disk(delivery.from).keys()].some((name) => name.endsWith(`/${record}`));
    if (!isDurable) counts.early++;
    return [delivery];
  });
  sim.start();
  sim.run(() => sim.committee.parties.every((party) => sim.machine(party)?.finished !== undefined));
  expect(counts.said).toBeGreaterThan(0);
  return counts.early > 0;
}

test.each<[string, string, (message: KeygenMessage) => boolean, Edit]>([
  [
    'a transcript without its seeds',
    'seeds',
    isTranscriptSignature,
    {
      file: 'shared/protocol/setup/setup.ts',
      find: "return [...sealed, ...this.#sendToOthers({ kind: 'signature', transcript: digest, signature })];",
      replace:
        "return [...this.#sendToOthers({ kind: 'signature', transcript: digest, signature }), ...sealed];",
    },
  ],
  [
    'a transcript without the contributions that others may need',
    'archive',
    isTranscriptSignature,
    {
      file: 'shared/protocol/setup/setup.ts',
      find: "return [...sealed, ...this.#sendToOthers({ kind: 'signature', transcript: digest, signature })];",
      replace:
        "return [...sealed.slice(1), ...this.#sendToOthers({ kind: 'signature', transcript: digest, signature }), ...sealed.slice(0, 1)];",
    },
  ],
  [
    'the first round without a record of it',
    'round-one',
    ({ kind }) => kind === 'round-one',
    {
      file: 'shared/protocol/keygen/generation.ts',
      find:
        "return [\n      { kind: 'persist', name: `keys/" +
        '$' +
        "{key}/round-one`, record: digestBytes(statement) },\n      ...this.#sendAll({ kind: 'round-one', session: session.id, statement, by }),\n    ];",
      replace:
        "return [\n      ...this.#sendAll({ kind: 'round-one', session: session.id, statement, by }),\n      { kind: 'persist', name: `keys/" +
        '$' +
        '{key}/round-one`, record: digestBytes(statement) },\n    ];',
    },
  ],
  [
    'a key without its record',
    'record',
    ({ kind }) => kind === 'key-signature',
    {
      file: 'shared/protocol/keygen/settlement.ts',
      find: 'return [sealed, ...this.#repeatSignature(), ...this.#settle()];',
      replace: 'return [...this.#repeatSignature(), sealed, ...this.#settle()];',
    },
  ],
  [
    'a certificate that is not on its disk',
    'certificate',
    ({ kind }) => kind === 'key-certificate',
    {
      file: 'shared/protocol/keygen/settlement.ts',
      find: 'return [...this.#sealFinished(value, certificate), ...this.#announce(), ...this.#askForSeeds()];',
      replace:
        'return [...this.#announce(), ...this.#sealFinished(value, certificate), ...this.#askForSeeds()];',
    },
  ],
  [
    'anything in a session that its disk does not know of',
    'request',
    ({ kind }) => kind === 'setup',
    {
      file: 'shared/protocol/keygen/keygen.ts',
      find: "      { kind: 'persist', name: requestName(key), record: state },\n      ...wrapped,\n      ...this.#advance(this.#attempt.start(nowMs), nowMs),\n",
      replace:
        "      ...wrapped,\n      ...this.#advance(this.#attempt.start(nowMs), nowMs),\n      { kind: 'persist', name: requestName(key), record: state },\n",
    },
  ],
])('durable before spoken: no party signs or says %s', async (_, record, says, edit) => {
  const outcome = await attackBoth(`durable-${record}`, [edit], (load) => speaksTooEarly(load, says, record));
  expect(outcome).toEqual({ withRule: false, withoutRule: true });
});
