import { KmsError } from '../../shared/errors.ts';

const shape = /^[a-z0-9][a-z0-9._-]*(?:\/[a-z0-9][a-z0-9._-]*)*$/;
const MAX_NAME_CHARACTERS = 200;
const SUFFIX = '.sealed';

/** @throws {KmsError} BAD_INPUT unless name follows the rule of SealedStore */
export function checkName(name: string): void {
  if (name.length > MAX_NAME_CHARACTERS || !shape.test(name)) {
    throw new KmsError('BAD_INPUT', 'a record name is segments of a-z, 0-9, ".", "-", "_" joined by "/"');
  }
}

/** One flat file per record: no name leads out of the directory. */
export function fileNameOf(name: string): string {
  return `${name.replaceAll('/', '+')}${SUFFIX}`;
}

/** The record's name, or undefined for a file that is no record. */
export function nameOf(file: string): string | undefined {
  if (!file.endsWith(SUFFIX)) return undefined;
  const name = file.slice(0, -SUFFIX.length).replaceAll('+', '/');
  return name.length <= MAX_NAME_CHARACTERS && shape.test(name) ? name : undefined;
}
