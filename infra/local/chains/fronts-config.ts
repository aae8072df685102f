import { Fields } from '../../../gateway/adapter/config-file.ts';
import type { ChainSave } from './chain-save.ts';

/** What the fronts' process serves and keeps: one JSON file. */
export interface FrontsConfig {
  readonly fronts: readonly FrontConfig[];
  readonly saves: readonly ChainSave[];
}

export interface FrontConfig {
  /** On the loopback. */
  readonly port: number;
  /** URL of the chain. */
  readonly upstream: string;
  /** Certificate and key. */
  readonly identityFile: string;
}

/** @throws {KmsError} BAD_INPUT */
export async function readFrontsConfig(path: string): Promise<FrontsConfig> {
  const fields = await Fields.read(path);
  const fronts = fields.list('fronts').map((front) => {
    const one = {
      port: front.integer('port', 1, 65_535),
      upstream: front.text('upstream'),
      identityFile: front.text('identityFile'),
    };
    front.end();
    return one;
  });
  const saves = fields.list('saves').map((save) => {
    const one = { url: save.text('url'), file: save.text('file') };
    save.end();
    return one;
  });
  fields.end();
  return { fronts, saves };
}
