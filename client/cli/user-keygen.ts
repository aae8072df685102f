import { noble } from '../../shared/noble.ts';
import { generateUserKey } from '../../shared/protocol/user-decryption/hpke.ts';
import { userKeyDigest } from '../../shared/protocol/user-decryption/sealed-share.ts';
import type { Command } from './command.ts';
import { writeUserKey } from './user-key-file.ts';

export const userKeygen: Command = {
  name: 'user-keygen',
  summary: 'make a key pair that only you can decrypt for',
  forms: ['[-o FILE]'],
  details: [
    'X-Wing (X25519 and ML-KEM-768), so that traffic recorded today stays closed to quantum computers too. The file ' +
      'holds the private key; only you can read it, and an existing file is never replaced.',
  ],
  options: { out: { value: 'FILE', short: 'o', help: 'where the key goes', default: 'user.key' } },
  maxPositionals: 0,

  async run(given) {
    const out = given.required('out');
    const key = await generateUserKey((sizeBytes) => crypto.getRandomValues(new Uint8Array(sizeBytes)));
    await writeUserKey(out, key);
    const publicKey = userKeyDigest(noble, key.publicKey);
    key.privateKey[Symbol.dispose]();
    return {
      json: { file: out, publicKeySha256: publicKey },
      lines: [`${out}: public key ${publicKey} (SHA-256)`],
    };
  },
};
