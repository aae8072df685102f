import { KmsError } from '../../shared/errors.ts';
import type { Value } from '../../shared/fhe/value.ts';
import { generateUserKey } from '../../shared/protocol/user-decryption/hpke.ts';
import { type Command, KEY_EXPOSING, networkOptions } from './command.ts';
import { keyOption, Session, short } from './session.ts';
import { table } from './table.ts';

export const bench: Command = {
  name: 'bench',
  summary: 'measure the running network as a client sees it',
  forms: ['[--key KEY] [--runs N]'],
  details: [
    'Latency of encryption (here) and of decryption in public and for a user, of scalars and of vectors; every result is ' +
      "checked. The benchmarks of single parts run with 'make bench'.",
    `Decryption: ${KEY_EXPOSING}.`,
  ],
  options: {
    key: keyOption,
    runs: { value: 'N', help: 'how often each', default: '5' },
    ...networkOptions,
  },
  maxPositionals: 0,

  async run(given, terminal) {
    const runs = given.integer('runs', 1, 10_000) ?? 5;
    using session = await Session.open(given, terminal);
    const { client } = session;
    const key = await session.key(await session.keyIdOf(given.text('key')));
    const user = await generateUserKey((sizeBytes) => crypto.getRandomValues(new Uint8Array(sizeBytes)));
    using _held = user.privateKey;
    const values: readonly Value[] = [
      { kind: 'scalar', value: 42n },
      { kind: 'vector', values: BigUint64Array.from({ length: key.preset.degree }, (_, i) => BigInt(i)) },
    ];
    const ciphertexts: Uint8Array[] = [];
    const jobs = values.flatMap((value, i) => [
      { name: `encrypt-${value.kind}`, run: async () => (ciphertexts[i] = await key.encrypt(value)) },
      {
        name: `decrypt-${value.kind}`,
        run: async () => same((await client.decrypt(ciphertexts[i]!)).value, value),
      },
      {
        name: `user-decrypt-${value.kind}`,
        run: async () => same((await client.userDecrypt(ciphertexts[i]!, user)).value, value),
      },
    ]);
    const progress = terminal.progress('measuring');
    const results = [];
    try {
      for (const [at, { name, run }] of jobs.entries()) {
        const times: number[] = [];
        // The first run warms up.
        for (let i = 0; i <= runs; i++) {
          progress.update(name, at * (runs + 1) + i, jobs.length * (runs + 1));
          const startedMs = terminal.nowMs();
          await run();
          if (i > 0) times.push(terminal.nowMs() - startedMs);
        }
        results.push({ name, unit: 'ms', median: median(times), runs });
      }
    } finally {
      progress.finish();
    }
    const rows = results.map(({ name, median: ms }) => [name, ms.toFixed(1)]);
    return {
      json: { key: key.id, preset: key.preset.name, results },
      lines: [
        `key ${short(key.id)}, ${key.preset.name}, ${runs} runs each`,
        ...table([['JOB', 'MEDIAN MS'], ...rows]),
      ],
    };
  },
};

function median(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function same(actual: Value, expected: Value): void {
  const text = ({ kind, ...rest }: Value): string => `${kind} ${Object.values(rest).join()}`;
  if (text(actual) !== text(expected)) throw new KmsError('INTERNAL', 'a decryption gave a wrong value');
}
