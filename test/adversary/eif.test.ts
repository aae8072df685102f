import { describe, expect, it } from 'vitest';
import { writeCpio } from '../../infra/eif/cpio.ts';
import type * as CpioReader from '../../infra/eif/cpio-reader.ts';
import { describeImage } from '../../infra/eif/describe.ts';
import type { EnclaveImage } from '../../infra/eif/image.ts';
import { imageRegister, measure } from '../../infra/eif/pcr.ts';
import { formOf } from '../../infra/eif/ramdisk.ts';
import type * as Reader from '../../infra/eif/reader.ts';
import { readEif } from '../../infra/eif/reader.ts';
import type * as Signature from '../../infra/eif/signature.ts';
import { signRegister } from '../../infra/eif/signature.ts';
import { type SignatureSection, writeSignatureSection } from '../../infra/eif/signature-section.ts';
import { writeEif } from '../../infra/eif/writer.ts';
import { KmsError } from '../../shared/errors.ts';
import { measurementName } from '../../shared/network/measurement.ts';
import { concat, utf8 } from '../../shared/wire/bytes.ts';
import { type RawSection, rawEif, registerOf, withChecksum } from '../oracle/eif.ts';
import { bootEntries, signer, smallImage } from '../unit/eif/fixture.ts';
import { attackBoth, type Edit } from './mutant.ts';

/** Whoever stands between the release and the enclave alters the file. */
const image = smallImage();
const { kernel, cmdline, metadata, ramdisks } = image;
const alice = await signer();
const mallory = await signer();
const signed: EnclaveImage = {
  ...image,
  signature: writeSignatureSection(signRegister(imageRegister(image), alice.certificate, alice.key)),
};

const sectionsOf = (
  changes: Partial<Record<'kernel' | 'cmdline' | 'boot' | 'app', Uint8Array>>,
): RawSection[] => [
  { type: 1, contents: changes.kernel ?? kernel },
  { type: 2, contents: changes.cmdline ?? cmdline },
  { type: 5, contents: metadata },
  { type: 3, contents: changes.boot ?? ramdisks[0]! },
  { type: 3, contents: changes.app ?? ramdisks[1]! },
];

describe('a tampered image', () => {
  it.each([
    ['unsigned', image],
    ['signed', signed],
  ])(
    'tampered image: %s, every byte flipped is refused, and measured differently if the checksum is made right',
    (_, whole) => {
      const bytes = writeEif(whole);
      const genuine = measurementName(measure(whole));
      const unmeasured = new Set<string>();
      for (const { name, from, to } of regionsOf(whole)) {
        for (let at = from; at < to; at++) {
          const changed = Uint8Array.from(bytes);
          changed[at]! ^= 0x40;
          expect(read(changed)).toBeUndefined();
          const tampered = read(withChecksum(changed));
          if (tampered === undefined) continue;
          if (registersFrom(tampered) === genuine) unmeasured.add(name);
        }
      }
      // What no register covers. The rest of a file is either refused or measured differently.
      expect([...unmeasured].sort()).toEqual(['header', 'metadata']);
    },
  );

  it('tampered image: of the header only defaults and the architecture are free, no register covers them', () => {
    const bytes = writeEif(image);
    const free = Array.from({ length: 544 }, (_, at) => at).filter((at) => {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      return read(withChecksum(changed)) !== undefined;
    });
    // Flags; memory and processors within 53 bits.
    expect(free).toEqual([7, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 22, 23]);
  });
});

describe('bytes that move over a border', () => {
  const [boot, app] = [ramdisks[0]!, ramdisks[1]!];
  const lockdown = utf8(' lockdown=confidentiality');
  const guarded = concat(cmdline, lockdown);

  it('border: registers do not see where the command line begins and ends', () => {
    expect(registerOf(kernel, guarded, boot)).toBe(registerOf(kernel, cmdline, concat(lockdown, boot)));
    const zeros = concat(kernel, new Uint8Array(4));
    const [first, others] = [boot.slice(0, 116), boot.slice(116)];
    expect(formOf(others)).toBe('cpio');
    expect(registerOf(kernel, cmdline, boot)).toBe(registerOf(kernel, concat(cmdline, first), others));
    expect(registerOf(zeros, cmdline, boot)).toBe(
      registerOf(kernel, concat(new Uint8Array(4), cmdline), boot),
    );
  });

  it.each<[string, Edit, RawSection[]]>([
    [
      'the end of the command line into the ramdisk',
      {
        file: 'infra/eif/image.ts',
        find: 'for (const ramdisk of image.ramdisks) formOf(ramdisk);',
        replace: '',
      },
      sectionsOf({ cmdline, boot: concat(lockdown, boot) }),
    ],
    [
      'zeros from the end of the kernel into the command line, which ends it at once',
      { file: 'infra/eif/image.ts', find: 'byte >= 0x20 && byte <= 0x7e', replace: 'byte >= 0' },
      sectionsOf({ cmdline: concat(new Uint8Array(4), cmdline) }),
    ],
    [
      'the first entry of the boot ramdisk into the command line, which hides it',
      { file: 'infra/eif/image.ts', find: 'byte >= 0x20 && byte <= 0x7e', replace: 'byte >= 0' },
      sectionsOf({ cmdline: concat(cmdline, boot.slice(0, 116)), boot: boot.slice(116) }),
    ],
    [
      'the beginning of one ramdisk into the one before',
      {
        file: 'infra/eif/image.ts',
        find: 'for (const ramdisk of image.ramdisks) formOf(ramdisk);',
        replace: '',
      },
      sectionsOf({ boot: concat(boot, app.slice(0, 8)), app: app.slice(8) }),
    ],
  ])('border: refuses %s', async (what, edit, sections) => {
    await expectRule(what, edit, rawEif({ sections }));
  });
});

describe("the reader's rules", () => {
  const good = sectionsOf({});
  const extra = utf8('hidden');

  it.each<[string, Edit, Uint8Array]>([
    [
      'a checksum that is wrong',
      { file: 'infra/eif/reader.ts', find: 'found !== checksumOf(bytes)', replace: 'found < 0' },
      writeEif(image).with(560, 0xff),
    ],
    [
      'bytes after the last section',
      { file: 'infra/eif/reader.ts', find: 'end !== bytes.length', replace: 'end > bytes.length' },
      rawEif({ sections: good, trailing: extra }),
    ],
    [
      'bytes between two sections',
      { file: 'infra/eif/reader.ts', find: 'offset > expected', replace: 'offset > bytes.length' },
      gapBefore(good, 4, extra),
    ],
    [
      'a section that another one hides behind',
      { file: 'infra/eif/reader.ts', find: 'offset < expected', replace: 'offset < 0' },
      rawEif({ sections: [...good, { ...good[4]!, place: { offset: offsetOf(good, 4) } }] }).subarray(
        0,
        offsetOf(good, 5),
      ),
    ],
    [
      'metadata in another place',
      {
        file: 'infra/eif/reader.ts',
        find: "['cmdline', ['metadata']],\n  ['metadata', ['ramdisk']],\n  ['ramdisk', ['ramdisk', 'signature', undefined]],",
        replace:
          "['cmdline', ['ramdisk']],\n  ['ramdisk', ['ramdisk', 'metadata']],\n  ['metadata', [undefined]],",
      },
      rawEif({ sections: [good[0]!, good[1]!, good[3]!, good[4]!, good[2]!] }),
    ],
    [
      'two sizes of a section',
      { file: 'infra/eif/reader.ts', find: 'header.size !== size', replace: 'header.size < 0' },
      rawEif({ sections: good.with(4, { ...good[4]!, size: 512 }) }),
    ],
    [
      'a place for a section that is not counted',
      { file: 'infra/eif/format.ts', find: 'offset !== 0 || size !== 0', replace: 'offset < 0 || size < 0' },
      withChecksum(placed(rawEif({ sections: good }))),
    ],
    [
      'reserved fields',
      {
        file: 'infra/eif/format.ts',
        find: 'view.getUint16(AT.reserved) !== 0 || view.getUint32(AT.unused) !== 0',
        replace: 'view.byteLength === 0',
      },
      rawEif({ sections: good, reserved: 1, unused: 7 }),
    ],
    [
      "a section's flags",
      { file: 'infra/eif/format.ts', find: 'view.getUint16(2) !== 0', replace: 'view.byteLength === 0' },
      rawEif({ sections: good.with(0, { ...good[0]!, flags: 1 }) }),
    ],
  ])('reader: refuses %s', async (what, edit, bytes) => {
    await expectRule(what, edit, edit.find.includes('checksumOf') ? bytes : withChecksum(bytes));
  });
});

describe("the archive reader's rules", () => {
  const archive = new TextDecoder().decode(writeCpio(bootEntries));

  it.each<[string, Edit, string]>([
    [
      'an owner that is not root',
      {
        file: 'infra/eif/cpio-reader.ts',
        find: 'cpioHeader(entry, entries.length) !== head',
        replace: 'head.length === 0',
      },
      `${archive.slice(0, 22)}000003E8${archive.slice(30)}`,
    ],
    [
      'bytes in the padding',
      {
        file: 'infra/eif/cpio-reader.ts',
        find: 'bytes.subarray(from, to).some((byte) => byte !== 0)',
        replace: 'from > to',
      },
      `${archive.slice(0, -1)}x`,
    ],
    [
      'an archive after the archive',
      {
        file: 'infra/eif/cpio-reader.ts',
        find: '    requireEnd(bytes, end);\n      break;',
        replace: '    break;',
      },
      archive + archive,
    ],
    [
      'a file twice',
      {
        file: 'infra/eif/cpio.ts',
        find: "if (path === last) throw bad(path, 'is there twice');",
        replace: '',
      },
      twice(archive),
    ],
    [
      'setuid',
      { file: 'infra/eif/cpio.ts', find: 'const MODE_BITS = 0o1777;', replace: 'const MODE_BITS = 0o7777;' },
      archive.replace('000081ED', '000089ED'),
    ],
  ])('archive: refuses %s', async (what, edit, text) => {
    const { withRule, withoutRule } = await attackBoth(mutantName(what), [edit], async (load) => {
      const { readCpio } = await load<typeof CpioReader>('infra/eif/cpio-reader.ts');
      return succeeds(() => readCpio(utf8(text)));
    });
    expect({ withRule, withoutRule }).toEqual({ withRule: false, withoutRule: true });
  });
});

describe("the signature's rules", () => {
  const pcr0 = imageRegister(image);
  const other = pcr0.toReversed();
  const ofMallory = signRegister(pcr0, mallory.certificate, mallory.key);

  it.each<[string, Edit, SignatureSection]>([
    [
      'a signature over another image',
      {
        file: 'infra/eif/signature.ts',
        find: '!equalBytes(payload, pcrStatement(pcr0))',
        replace: 'payload.length === 0',
      },
      signRegister(other, alice.certificate, alice.key),
    ],
    [
      "another signer's work under Alice's certificate",
      {
        file: 'infra/eif/signature.ts',
        find: "!verify('sha384', signedBytes(payload), key, signature)",
        replace: '!key || signature.length === 0 || !verify',
      },
      { ...ofMallory, certificate: alice.certificate },
    ],
  ])('signature: refuses %s', async (what, edit, section) => {
    const { withRule, withoutRule } = await attackBoth(mutantName(what), [edit], async (load) => {
      const { verifySignature } = await load<typeof Signature>('infra/eif/signature.ts');
      return succeeds(() => verifySignature(section, pcr0));
    });
    expect({ withRule, withoutRule }).toEqual({ withRule: false, withoutRule: true });
  });
});

/** Every mutant has a directory of its own: modules are loaded once. */
function mutantName(what: string): string {
  return `eif-${what.replace(/\W+/g, '-')}`;
}

async function expectRule(what: string, edit: Edit, bytes: Uint8Array): Promise<void> {
  const { withRule, withoutRule } = await attackBoth(mutantName(what), [edit], async (load) => {
    const reader = await load<typeof Reader>('infra/eif/reader.ts');
    return succeeds(() => reader.readEif(bytes));
  });
  expect({ withRule, withoutRule }).toEqual({ withRule: false, withoutRule: true });
}

/** A refusal is one of ours, in the original as in the copy with the rule taken out. */
function succeeds(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch (error) {
    if (error instanceof Error && error.name === 'KmsError') return false;
    throw error;
  }
}

function read(bytes: Uint8Array): EnclaveImage | undefined {
  try {
    return readEif(bytes);
  } catch (error) {
    if (error instanceof KmsError) return undefined;
    throw error;
  }
}

function registersFrom(tampered: EnclaveImage): string {
  try {
    const measurement = measurementName(measure(tampered));
    // A description is there for whatever has a measurement.
    expect(describeImage(tampered)).toMatchObject({ EifVersion: 4 });
    return measurement;
  } catch (error) {
    if (error instanceof KmsError && error.code === 'BAD_SIGNATURE') return 'none';
    throw error;
  }
}

function regionsOf(
  of: EnclaveImage,
): readonly { readonly name: string; readonly from: number; readonly to: number }[] {
  let end = 548;
  const contents = [
    ['kernel', of.kernel],
    ['cmdline', of.cmdline],
    ['metadata', of.metadata],
    ...of.ramdisks.map((ramdisk, index) => [`ramdisk ${index}`, ramdisk] as const),
    ...(of.signature === undefined ? [] : [['signature', of.signature] as const]),
  ] as const;
  const regions = contents.flatMap(([name, bytes]) => {
    const from = end;
    end += 12 + bytes.length;
    return [
      { name: `header of ${name}`, from, to: from + 12 },
      { name, from: from + 12, to: end },
    ];
  });
  return [{ name: 'header', from: 0, to: 544 }, ...regions];
}

function offsetOf(sections: readonly RawSection[], index: number): number {
  return sections.slice(0, index).reduce((sum, { contents }) => sum + 12 + contents.length, 548);
}

function gapBefore(sections: readonly RawSection[], index: number, gap: Uint8Array): Uint8Array {
  const at = offsetOf(sections, index);
  const moved = { ...sections[index]!, place: { offset: at + gap.length } };
  const bytes = rawEif({ sections: sections.with(index, moved) });
  return concat(bytes.subarray(0, at), gap, bytes.subarray(at));
}

/** Gives a sixth section a place, without counting it. */
function placed(bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  new DataView(copy.buffer).setBigUint64(28 + 8 * 5, 548n);
  return copy;
}

/** The last entry once more, with the number that it then has. */
function twice(archive: string): string {
  const [from, to] = [archive.lastIndexOf('07070100000003'), archive.lastIndexOf('07070100000000')];
  const again = archive.slice(from, to).replace('07070100000003', '07070100000004');
  const text = archive.slice(0, to) + again + archive.slice(to).replace(/\0+$/, '\0');
  return text.padEnd(Math.ceil(text.length / 512) * 512, '\0');
}
