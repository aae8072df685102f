import { readEifFile, signedImage } from '../../infra/eif/files.ts';
import { measure } from '../../infra/eif/pcr.ts';
import { writeEif } from '../../infra/eif/writer.ts';
import { nitroForm } from '../nitro-measurements.ts';
import type { Command } from './command.ts';
import { writeOutput } from './file.ts';

export const eifSign: Command = {
  name: 'eif sign',
  summary: 'sign an enclave image',
  forms: ['IMAGE --certificate FILE --private-key FILE -o FILE'],
  details: [
    'Adds PCR8, the measurement of the certificate; the other registers stay. A signature that the image has is replaced. ' +
      'The certificate is of a key on P-384. The signature holds a random number: two signed files of one image differ, ' +
      'their registers do not.',
  ],
  examples: ['kms eif sign kms.eif --certificate release.pem --private-key release.key -o signed.eif'],
  options: {
    certificate: { value: 'FILE', help: 'signing certificate, PEM' },
    'private-key': { value: 'FILE', help: 'its private key, PEM without a passphrase' },
    output: { value: 'FILE', short: 'o', help: 'where the signed image goes' },
  },
  maxPositionals: 1,

  async run(given) {
    const path = given.positional(0, 'the image');
    const files = { certificate: given.required('certificate'), privateKey: given.required('private-key') };
    const output = given.required('output');
    const image = await signedImage(await readEifFile(path), files);
    const Measurements = nitroForm(measure(image));
    await writeOutput(output, writeEif(image));
    return {
      json: { output, Measurements },
      lines: JSON.stringify({ Measurements }, undefined, 2).split('\n'),
    };
  },
};
