import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../client/cli/cli.ts';
import { Interrupts } from '../../../client/cli/terminal.ts';
import { nitroForm } from '../../../client/nitro-measurements.ts';
import { certificateRegister, measure } from '../../../infra/eif/pcr.ts';
import { readEif } from '../../../infra/eif/reader.ts';
import { signRegister } from '../../../infra/eif/signature.ts';
import { writeSignatureSection } from '../../../infra/eif/signature-section.ts';
import { writeEif } from '../../../infra/eif/writer.ts';
import { toHex } from '../../../shared/wire/bytes.ts';
import { signer, smallImage } from '../eif/fixture.ts';

const directory = mkdtempSync(join(tmpdir(), 'kms-eif-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const at = (name: string): string => join(directory, name);
const image = smallImage();
const release = await signer();
const small = await signer('P-256');
for (const [name, contents] of [
  ['kernel', image.kernel],
  ['boot.cpio', image.ramdisks[0]!],
  ['app.cpio', image.ramdisks[1]!],
  ['release.pem', release.certificate],
  ['release.key', release.keyPem],
  ['small.pem', small.certificate],
  ['small.key', small.keyPem],
] as const) {
  writeFileSync(at(name), contents);
}

interface Run {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function kms(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Run> {
  let [stdout, stderr] = ['', ''];
  const code = await runCli(argv, {
    stdout: { write: (text) => (stdout += text) },
    stderr: { write: (text) => (stderr += text) },
    env,
    nowMs: () => 0,
    interrupts: new Interrupts(),
  });
  return { code, stdout, stderr };
}

const parts = [
  ...['--kernel', at('kernel'), '--cmdline', 'reboot=k panic=30 pci=off', '--name', 'threshold-kms'],
  ...['--image-version', '0.1.0', '--kernel-version', '6.1.0', at('boot.cpio'), at('app.cpio')],
];
const signing = ['--certificate', at('release.pem'), '--private-key', at('release.key')];
const built = await kms(['eif', 'build', ...parts, '--source-date', '1700000000', '-o', at('kms.eif')]);
const Measurements = nitroForm(measure(image));

describe('kms eif', () => {
  it('build: writes the image of these parts, and prints what nitro-cli build-enclave prints', () => {
    expect(built).toEqual({
      code: 0,
      stdout: `${JSON.stringify({ Measurements }, undefined, 2)}\n`,
      stderr: '',
    });
    expect(readEif(new Uint8Array(readFileSync(at('kms.eif'))))).toEqual(image);
  });

  it('build: takes the date of the source from the environment too, and gives the same bytes', async () => {
    const again = await kms(['eif', 'build', ...parts, '-o', at('again.eif'), '--json'], {
      SOURCE_DATE_EPOCH: '1700000000',
    });
    expect(JSON.parse(again.stdout)).toEqual({
      ...{ output: at('again.eif'), sizeBytes: readFileSync(at('kms.eif')).length, Measurements },
    });
    expect(readFileSync(at('again.eif'))).toEqual(readFileSync(at('kms.eif')));
  });

  it('measure: prints what nitro-cli describe-eif prints', async () => {
    const { code, stdout } = await kms(['eif', 'measure', at('kms.eif')]);
    expect(code).toBe(0);
    const description = {
      ...{ EifVersion: 4, Measurements, IsSigned: false, CheckCRC: true },
      ...{ ImageName: 'threshold-kms', ImageVersion: '0.1.0' },
      Metadata: {
        ...{ BuildTime: '2023-11-14T22:13:20+00:00', BuildTool: 'kms eif', BuildToolVersion: '1' },
        ...{ OperatingSystem: 'Linux', KernelVersion: '6.1.0', DockerInfo: {} },
      },
    };
    expect(stdout).toBe(`${JSON.stringify(description, undefined, 2)}\n`);
    expect(JSON.parse((await kms(['eif', 'measure', at('kms.eif'), '--json'])).stdout)).toEqual(description);
  });

  it('sign: adds PCR8 and leaves the other registers; build signs as well', async () => {
    const expected = { ...Measurements, PCR8: toHex(certificateRegister(release.certificate)) };
    const signed = await kms(['eif', 'sign', at('kms.eif'), ...signing, '-o', at('signed.eif')]);
    expect([signed.code, JSON.parse(signed.stdout)]).toEqual([0, { Measurements: expected }]);
    const once = await kms(['eif', 'build', ...parts, ...signing, '-o', at('once.eif'), '--json']);
    expect(JSON.parse(once.stdout)).toMatchObject({ Measurements: expected });
    const measured = await kms(['eif', 'measure', at('signed.eif'), '--json']);
    expect(JSON.parse(measured.stdout)).toMatchObject({
      ...{ Measurements: expected, IsSigned: true, SignatureCheck: true },
    });
  });

  it('inspect: lists sections and files', async () => {
    const { code, stdout } = await kms(['eif', 'inspect', at('kms.eif')]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/command line: reboot=k panic=30 pci=off\n/);
    expect(stdout).toMatch(/\nkernel +33 +[0-9a-f]{64}\n/);
    expect(stdout).toMatch(/\nramdisk 1, application, cpio\n/);
    expect(stdout).toMatch(/\nfile +0555 +4 +545ea538[0-9a-f]{56} +\/rootfs\/node\n/);
    expect(stdout).toMatch(/\nlink +0777 +0 +\/rootfs\/lib64 -> lib\n/);
    const json = JSON.parse((await kms(['eif', 'inspect', at('kms.eif'), '--json'])).stdout);
    expect(json.sections).toHaveLength(5);
    expect(json.ramdisks[0].entries.map(({ path }: { path: string }) => path)).toEqual([
      ...['/dev', '/dev/console', '/init'],
    ]);
  });

  it('measure: a tampered image, and one with a foreign signature, have no measurement', async () => {
    const bytes = readFileSync(at('kms.eif'));
    bytes[570]! ^= 1;
    writeFileSync(at('tampered.eif'), bytes);
    const tampered = await kms(['eif', 'measure', at('tampered.eif')]);
    expect([tampered.code, tampered.stdout]).toEqual([3, '']);
    expect(tampered.stderr).toMatch(/checksum is wrong; it was damaged or altered/);
    const ofOther = signRegister(new Uint8Array(48), release.certificate, release.key);
    writeFileSync(at('foreign.eif'), writeEif({ ...image, signature: writeSignatureSection(ofOther) }));
    const foreign = await kms(['eif', 'measure', at('foreign.eif')]);
    expect([foreign.code, foreign.stdout]).toEqual([5, '']);
    expect(foreign.stderr).toMatch(/it is of another image/);
  });

  it.each<[string, readonly string[], number]>([
    ['no image', ['eif', 'measure'], 2],
    ['two images', ['eif', 'measure', at('kms.eif'), at('kms.eif')], 2],
    ['an image that is not there', ['eif', 'inspect', at('none.eif')], 3],
    ['an image that is none', ['eif', 'measure', at('kernel')], 3],
    ['no output', ['eif', 'build', ...parts], 2],
    ['no ramdisk', ['eif', 'build', ...parts.slice(0, -2), '-o', at('x.eif')], 2],
    ['an architecture of another world', ['eif', 'build', ...parts, '--arch', 'vax', '-o', at('x.eif')], 2],
    ['a date that is none', ['eif', 'build', ...parts, '--source-date', 'today', '-o', at('x.eif')], 2],
    ['half a signer', ['eif', 'build', ...parts, ...signing.slice(0, 2), '-o', at('x.eif')], 2],
    ['a ramdisk that is none', ['eif', 'build', ...parts, at('kernel'), '-o', at('x.eif')], 3],
    ['an output below a file', ['eif', 'sign', at('kms.eif'), ...signing, '-o', at('kernel/x.eif')], 3],
    [
      'another key',
      ['eif', 'sign', at('kms.eif'), ...signing.with(3, at('small.key')), '-o', at('x.eif')],
      3,
    ],
    [
      'a certificate as key',
      ['eif', 'sign', at('kms.eif'), ...signing.with(3, at('release.pem')), '-o', at('x.eif')],
      3,
    ],
    [
      'another curve',
      [
        'eif',
        'sign',
        at('kms.eif'),
        '--certificate',
        at('small.pem'),
        '--private-key',
        at('small.key'),
        '-o',
        at('x.eif'),
      ],
      3,
    ],
  ])('exit code: %s', async (_, argv, expected) => {
    const plain = await kms(argv);
    expect([plain.code, plain.stdout]).toEqual([expected, '']);
    const json = await kms([...argv, '--json']);
    expect(JSON.parse(json.stdout).error).toMatchObject({ exitCode: expected });
    expect(() => readFileSync(at('x.eif'))).toThrow();
  });

  it('exit code: a date in the environment that is none', async () => {
    const { code } = await kms(['eif', 'build', ...parts, '-o', at('x.eif')], { SOURCE_DATE_EPOCH: 'now' });
    expect(code).toBe(2);
  });

  it('sign: an error tells nothing of the key', async () => {
    const lines = release.keyPem.split('\n').filter((line) => line.length > 20 && !line.startsWith('-'));
    writeFileSync(at('damaged.key'), release.keyPem.replace(lines[0]!, lines[0]!.slice(4)));
    const { code, stderr } = await kms([
      'eif',
      'sign',
      at('kms.eif'),
      ...signing.with(3, at('damaged.key')),
      '-o',
      at('x.eif'),
    ]);
    expect(code).toBe(3);
    for (const line of lines) expect(stderr).not.toContain(line.slice(4, 24));
  });
});
