import { describe, expect, it } from 'vitest';
import { buildTime, decodeMetadata, encodeMetadata, ownMetadata } from '../../../infra/eif/metadata.ts';
import { utf8 } from '../../../shared/wire/bytes.ts';
import { codeFrom, metadata } from './fixture.ts';

const text = new TextDecoder().decode(encodeMetadata(metadata));

describe('metadata', () => {
  it('metadata: names and order are those of nitro-cli', () => {
    expect(text).toBe(
      '{"ImageName":"threshold-kms","ImageVersion":"0.1.0","BuildMetadata":{"BuildTime":"2023-11-14T22:13:20+00:00",' +
        '"BuildTool":"kms eif","BuildToolVersion":"1","OperatingSystem":"Linux","KernelVersion":"6.1.0"},' +
        '"DockerInfo":{},"CustomMetadata":null}',
    );
    expect(decodeMetadata(utf8(text))).toEqual(metadata);
  });

  it("metadata: our own carries the source's date and nothing of the machine or the moment", () => {
    const { imageName, imageVersion, build } = metadata;
    const bytes = ownMetadata({
      ...{ imageName, imageVersion, kernelVersion: build.kernelVersion },
      sourceDateSeconds: 1_700_000_000,
    });
    expect(new TextDecoder().decode(bytes)).toBe(text);
  });

  it.each([-1, 0.5, 2 ** 32, Number.NaN])('metadata: refuses the source date %d', (seconds) => {
    expect(codeFrom(() => buildTime(seconds))).toBe('BAD_INPUT');
  });

  it.each<[string, string]>([
    ['no JSON', text.slice(1)],
    ['another type', '[]'],
    ['null', 'null'],
    ['white space', `${text} `],
    ['a byte order mark', `\ufeff${text}`],
    ['a duplicate name', text.replace('{', '{"ImageName":"x",')],
    ['an escape where none is due', text.replace('threshold', '\\u0074hreshold')],
    ['an unknown name', text.replace('{', '{"Extra":1,')],
    ['a missing name', text.replace(',"CustomMetadata":null', '')],
    ['an unknown build field', text.replace('"BuildTool"', '"Extra":1,"BuildTool"')],
    ['a name that is no text', text.replace('"threshold-kms"', '1')],
    ['an empty name', text.replace('"threshold-kms"', '""')],
    ['a long name', text.replace('threshold-kms', 'x'.repeat(257))],
    ['a control sequence for terminals', text.replace('threshold-kms', '\\u001b[2J')],
    ['text that runs backwards', text.replace('threshold-kms', '\u202e')],
    ['a prototype', text.replace('"ImageName":"threshold-kms"', '"__proto__":{"ImageName":"x"}')],
    ['too deep a nesting', text.replace('{}', `${'['.repeat(30000)}${']'.repeat(30000)}`)],
  ])('metadata: refuses %s', (_, changed) => {
    expect(changed).not.toBe(text);
    expect(codeFrom(() => decodeMetadata(utf8(changed)))).toBe('BAD_ENCODING');
  });

  it('metadata: refuses bytes that are not UTF-8', () => {
    const bytes = utf8(text);
    bytes[14] = 0xff;
    expect(codeFrom(() => decodeMetadata(bytes))).toBe('BAD_ENCODING');
  });
});
