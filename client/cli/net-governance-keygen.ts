import { toHex } from '../../shared/wire/bytes.ts';
import type { Command } from './command.ts';
import { makeGovernanceKey } from './governance-key-file.ts';

export const netGovernanceKeygen: Command = {
  name: 'net governance-keygen',
  summary: 'make the key with which an operator signs configurations',
  forms: ['-o FILE'],
  details: [
    'Ed25519. Run it on a machine that stays offline: whoever has a quorum of these keys decides who the members of the ' +
      'network are and what they run. FILE is readable by its owner only and never replaced; FILE.pub is for everybody.',
  ],
  options: { out: { value: 'FILE', short: 'o', help: 'where the secret key goes' } },
  maxPositionals: 0,

  async run(given) {
    const out = given.required('out');
    const publicKey = toHex(await makeGovernanceKey(out));
    return {
      json: { file: out, publicFile: `${out}.pub`, publicKey },
      lines: [`${out}: secret, keep it offline`, `${out}.pub: public key ${publicKey}`],
    };
  },
};
