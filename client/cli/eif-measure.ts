import { describeImage } from '../../infra/eif/describe.ts';
import { readEifFile } from '../../infra/eif/files.ts';
import type { Command } from './command.ts';

export const eifMeasure: Command = {
  name: 'eif measure',
  summary: 'print the measurement of an enclave image, as nitro-cli describe-eif does',
  forms: ['IMAGE'],
  details: [
    'PCR0 is of the whole image, PCR1 of what boots it, PCR2 of the application, PCR8 of the certificate that signed it. A ' +
      'damaged image and one with a false signature have no measurement: the command fails.',
    "Compare the registers with those of 'kms attest' and of 'kms net config show'.",
  ],
  examples: ['kms eif measure kms.eif'],
  options: {},
  maxPositionals: 1,

  async run(given) {
    const description = describeImage(await readEifFile(given.positional(0, 'the image')));
    return { json: description, lines: JSON.stringify(description, undefined, 2).split('\n') };
  },
};
