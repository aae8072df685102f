import { describe, expect, it } from 'vitest';
import {
  DerReader,
  namedBitsOf,
  octetsOfBitString,
  readDer,
  Tag,
  takeFlag,
  timeOf,
  unsignedOf,
} from '../../../shared/attestation/der.ts';
import { fromHex, toHex } from '../../../shared/wire/bytes.ts';

const badEncoding = expect.objectContaining({ code: 'BAD_ENCODING' });
const take = (hex: string, tag: number) => new DerReader(fromHex(hex)).take(tag);
const time = (text: string, tag: number): number =>
  timeOf({ tag, contents: Buffer.from(text), whole: Buffer.from('') });

describe('DER', () => {
  it('DER: elements of short and long lengths, with their headers', () => {
    expect(toHex(take('04020102', Tag.octetString).contents)).toBe('0102');
    expect(toHex(take('0402010299', Tag.octetString).whole)).toBe('04020102');
    expect(take(`048180${'00'.repeat(128)}`, Tag.octetString).contents).toHaveLength(128);
    expect(take(`04820100${'00'.repeat(256)}`, Tag.octetString).contents).toHaveLength(256);
  });

  it.each([
    ['another tag', '04020102', Tag.integer],
    ['nothing', '', Tag.octetString],
    ['no length', '04', Tag.octetString],
    ['half a length', '048201', Tag.octetString],
    ['half the contents', '04020102'.slice(0, -2), Tag.octetString],
    ['a long length that fits the short form', '04810100', Tag.octetString],
    ['a length of two bytes that fits one', `048200ff${'00'.repeat(255)}`, Tag.octetString],
    ['an indefinite length', '048001020000', Tag.octetString],
    ['a length of three bytes', '0483000001ff', Tag.octetString],
  ])('DER: %s is BAD_ENCODING', (_, hex, tag) => {
    expect(() => take(hex, tag)).toThrow(badEncoding);
  });

  it('DER: bytes after the one element are BAD_ENCODING', () => {
    readDer(fromHex('3000'), Tag.sequence).end();
    expect(() => readDer(fromHex('300000'), Tag.sequence)).toThrow(badEncoding);
    expect(() => readDer(fromHex('3001ff'), Tag.sequence).end()).toThrow(badEncoding);
  });

  it('DER: a flag is absent or true', () => {
    expect(takeFlag(new DerReader(fromHex('0101ff')))).toBe(true);
    expect(takeFlag(new DerReader(fromHex('020101')))).toBe(false);
    expect(takeFlag(new DerReader(fromHex('')))).toBe(false);
    for (const hex of ['010100', '010101', '0100', '0102ffff']) {
      expect(() => takeFlag(new DerReader(fromHex(hex))), hex).toThrow(badEncoding);
    }
  });

  it('DER: integers are positive and shortest', () => {
    expect(['00', '01', '7f', '0080', '00ff01'].map((hex) => toHex(unsignedOf(fromHex(hex))))).toEqual([
      ...['00', '01', '7f', '80', 'ff01'],
    ]);
    for (const hex of ['', '80', 'ff', '0001', '007f', '0000']) {
      expect(() => unsignedOf(fromHex(hex)), hex).toThrow(badEncoding);
    }
  });

  it('DER: strings of bits are whole bytes, or named bits without trailing zeros', () => {
    expect(toHex(octetsOfBitString(fromHex('00abcd')))).toBe('abcd');
    for (const hex of ['01ab', '']) expect(() => octetsOfBitString(fromHex(hex)), hex).toThrow(badEncoding);
    const bits = (hex: string): readonly number[] =>
      Array.from({ length: 16 }, (_, i) => i).filter(namedBitsOf(fromHex(hex)));
    expect(bits('0780')).toEqual([0]);
    expect(bits('0186')).toEqual([0, 5, 6]);
    expect(bits('070080')).toEqual([8]);
    for (const hex of ['', '00', '0000', '0680', '0086', '0781', '0886', '078000']) {
      expect(() => namedBitsOf(fromHex(hex)), hex).toThrow(badEncoding);
    }
  });

  it('DER: times of both centuries and forms', () => {
    expect(time('500101000000Z', Tag.utcTime)).toBe(Date.UTC(1950, 0, 1));
    expect(time('491231235959Z', Tag.utcTime)).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(time('20500101000000Z', Tag.generalizedTime)).toBe(Date.UTC(2050, 0, 1));
    expect(time('240229120000Z', Tag.utcTime)).toBe(Date.UTC(2024, 1, 29, 12));
  });

  it.each([
    ['230229120000Z', Tag.utcTime],
    ['231301120000Z', Tag.utcTime],
    ['230100120000Z', Tag.utcTime],
    ['230101240000Z', Tag.utcTime],
    ['230101126000Z', Tag.utcTime],
    ['230101120060Z', Tag.utcTime],
    ['2301011200Z', Tag.utcTime],
    ['230101120000', Tag.utcTime],
    ['230101120000+0000', Tag.utcTime],
    ['20300101000000Z', Tag.utcTime],
    ['20491231235959Z', Tag.generalizedTime],
    ['20500101000000.5Z', Tag.generalizedTime],
    ['500101000000Z', Tag.generalizedTime],
    ['', Tag.utcTime],
  ])('DER: the time %s (tag %i) is BAD_ENCODING', (text, tag) => {
    expect(() => time(text, tag)).toThrow(badEncoding);
  });
});
