import { type Measurement, registersOf } from '../shared/network/measurement.ts';
import { toHex } from '../shared/wire/bytes.ts';

/** The `Measurements` of `nitro-cli describe-eif`. */
export function nitroForm(measurement: Measurement): Readonly<Record<string, string>> {
  const registers = registersOf(measurement);
  return {
    HashAlgorithm: 'Sha384 { ... }',
    ...Object.fromEntries(registers.map(([name, value]) => [name.toUpperCase(), toHex(value)])),
  };
}
