import { describe, expect, it } from 'vitest';
import { describeImage } from '../../../infra/eif/describe.ts';
import { encodeMetadata, type Json } from '../../../infra/eif/metadata.ts';
import { readEif } from '../../../infra/eif/reader.ts';
import { writeEif } from '../../../infra/eif/writer.ts';
import { metadata, smallImage } from './fixture.ts';

/** Of an image as nitro-cli builds it. */
function described(dockerInfo: Json, customMetadata: Json): Readonly<Record<string, Json>> {
  const image = smallImage({
    metadata: encodeMetadata({ ...metadata, dockerInfo, customMetadata }),
    ramdisks: [Uint8Array.of(0x1f, 0x8b, 8, 0, 1), Uint8Array.of(0x1f, 0x8b, 8, 0, 2)],
  });
  return describeImage(readEif(writeEif(image)));
}

const build = {
  ...{ BuildTime: '2023-11-14T22:13:20+00:00', BuildTool: 'kms eif', BuildToolVersion: '1' },
  ...{ OperatingSystem: 'Linux', KernelVersion: '6.1.0' },
};

describe('describeImage', () => {
  it('describeImage: shows what the container image was, and the fields of its own', () => {
    const DockerInfo = { Id: 'sha256:00', Config: { Env: ['PATH=/bin'], ExposedPorts: null }, Size: 1 };
    const { Metadata } = described(DockerInfo, { Commit: 'c0ffee', Nested: { a: [1, true] } });
    expect(Metadata).toEqual({ ...build, DockerInfo, Commit: 'c0ffee', Nested: { a: [1, true] } });
  });

  it("describeImage: an image's own fields do not take the place of others", () => {
    const { Metadata } = described({}, { BuildTool: 'nitro-cli', DockerInfo: 'none', Commit: '1' });
    expect(Metadata).toEqual({ ...build, DockerInfo: {}, Commit: '1' });
  });

  it.each<[Json]>([[null], ['text'], [[1]], [7]])(
    'describeImage: own metadata %j adds no field',
    (custom) => {
      expect(described({}, custom).Metadata).toEqual({ ...build, DockerInfo: {} });
    },
  );
});
