import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readS3Config } from '../../../../infra/local/s3/config.ts';

let directory = '';
let path = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'kms-s3-'));
  path = join(directory, 'config.json');
});
afterAll(() => rm(directory, { recursive: true, force: true }));

const credential = { accessKeyId: 'A', secretAccessKey: 'the secret', account: '111111111111' };
const good = { listen: '127.0.0.1:9000', directory: '/tmp/x', credentials: [credential] };

async function read(value: unknown) {
  await writeFile(path, typeof value === 'string' ? value : JSON.stringify(value));
  return readS3Config(path);
}

describe('s3 configuration', () => {
  it('s3 configuration: what it may say', async () => {
    expect(await read(good)).toEqual({
      ...{ listen: { host: '127.0.0.1', port: 9000 }, directory: '/tmp/x', region: 'us-east-1' },
      ...{ credentials: [credential], tls: undefined },
    });
    const temporary = { ...credential, sessionToken: 't', expires: '2030-01-01T00:00:00Z' };
    const tls = { certificateFile: path, keyFile: path };
    const full = await read({ ...good, region: 'eu-west-1', credentials: [temporary], tls });
    expect(full.credentials[0]).toEqual({ ...credential, sessionToken: 't', expiresMs: Date.UTC(2030, 0) });
    expect(full.tls?.certificate).toContain('certificateFile');
  });

  const { listen: _, ...deaf } = good;
  const bad: readonly [string, unknown][] = [
    ['no JSON', '{'],
    ['a list', []],
    ['without an address', deaf],
    ['a field that is none', { ...good, verify: false }],
    ['no credentials', { ...good, credentials: [] }],
    ['one key id twice', { ...good, credentials: [credential, credential] }],
    ['an account that is none', { ...good, credentials: [{ ...credential, account: '1' }] }],
    ['a key id with a slash', { ...good, credentials: [{ ...credential, accessKeyId: 'a/b' }] }],
    ['an empty secret', { ...good, credentials: [{ ...credential, secretAccessKey: '' }] }],
    ['an end that is no time', { ...good, credentials: [{ ...credential, expires: 'soon' }] }],
    ['half of TLS', { ...good, tls: { certificateFile: path } }],
    ['files that are not there', { ...good, tls: { certificateFile: '/none', keyFile: '/none' } }],
  ];
  for (const [name, value] of bad) {
    it(`s3 configuration: refuses ${name}, and repeats no secret`, async () => {
      const refused = read(value);
      await expect(refused).rejects.toMatchObject({ code: 'BAD_INPUT' });
      await expect(refused).rejects.not.toThrow(/the secret/);
    });
  }
});
