/** Prints the peak resident bytes of an enclave process of party 1 of (13,4) that holds a bfv-8192 key and decrypts with it. */
import { readFileSync } from 'node:fs';
import '../../enclave/boot.ts';
import { systemRng } from '../../enclave/primitives.ts';
import { sealEnvelope } from '../../shared/fhe/envelope.ts';
import { inputBound } from '../../shared/fhe/noise.ts';
import { writeCiphertext } from '../../shared/fhe/seal/ciphertext.ts';
import { partyId } from '../../shared/ids.ts';
import { Kernel } from '../../shared/math/kernel/kernel.ts';
import { DealtKey } from './dealt-key.ts';

const DECRYPTIONS = 10;
const KIBIBYTE = 1024;

const key = new DealtKey(await Kernel.load(), 13, 4);
const decryptor = key.decryptor(partyId(1));
const { preset, dataRing } = key;
for (let i = 0; i < DECRYPTIONS; i++) {
  // Random residues cost a party exactly what a ciphertext does.
  const [c0, c1] = [0, 1].map(() => dataRing.uniform(systemRng(24 * dataRing.length)));
  const body = writeCiphertext(preset, { level: preset.levels, c0: c0!, c1: c1! });
  const meta = { keyId: key.id, preset, kind: 'vector', bound: inputBound(preset) } as const;
  decryptor.partial(key.task(sealEnvelope(meta, body)));
}
process.stdout.write(`${peakKibibytes() * KIBIBYTE}\n`);

/** Of this program alone: what resourceUsage() says begins with the peak of the process that started this one. */
function peakKibibytes(): number {
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  if (peak === undefined) throw new Error('/proc/self/status has no VmHWM');
  return Number(peak);
}
