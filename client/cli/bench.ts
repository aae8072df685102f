import { KmsError } from '../../shared/errors.ts';
import type { Value } from '../../shared/fhe/value.ts';
import { generateUserKey } from '../../shared/protocol/user-decryption/hpke.ts';
import type { Command } from './command.ts';
import { GatewaySession, gatewayOptions, hostOf, inputOptions, walletFor } from './gateway-session.ts';
import { keyOption, short } from './session.ts';
import { table } from './table.ts';

export const bench: Command = {
  name: 'bench',
  summary: 'measure the running network as a client sees it',
  forms: ['[--key KEY] [--runs N]'],
  details: [
    'Latency of encryption (here), of bringing an input in, and of decryption in public and for a user through the gateway, of ' +
      "scalars and of vectors; every result is checked. The benchmarks of single parts run with 'make bench'.",
  ],
  options: {
    key: keyOption,
    runs: { value: 'N', help: 'how often each', default: '5' },
    ...inputOptions,
    ...gatewayOptions,
  },
  maxPositionals: 0,

  async run(given, terminal) {
    const runs = given.integer('runs', 1, 10_000) ?? 5;
    const account = await walletFor(given, terminal, 'account', 'user');
    const submitter = await walletFor(given, terminal, 'submitter', 'submitter');
    using session = await GatewaySession.open(given, terminal);
    const { client } = session;
    const key = await session.session.key(await session.session.keyIdOf(given.text('key')));
    const userKey = await generateUserKey((sizeBytes) => crypto.getRandomValues(new Uint8Array(sizeBytes)));
    using _held = userKey.privateKey;
    const acting = { account, ...hostOf(given) };
    const values: readonly Value[] = [
      { kind: 'scalar', value: 42n },
      { kind: 'vector', values: BigUint64Array.from({ length: key.preset.degree }, (_, i) => BigInt(i)) },
    ];
    const handles: `0x${string}`[] = [];
    const jobs = values.flatMap((value, i) => [
      { name: `encrypt-${value.kind}`, run: () => key.encrypt(value) },
      {
        name: `input-${value.kind}`,
        run: async () =>
          (handles[i] = await client.input(await key.encrypt(value), { ...acting, submitter })),
      },
      {
        name: `decrypt-${value.kind}`,
        run: async () => same((await client.decrypt(handles[i]!, acting)).value, value),
      },
      {
        name: `user-decrypt-${value.kind}`,
        run: async () => same((await client.userDecrypt(handles[i]!, { ...acting, userKey })).value, value),
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
