import { KmsError } from '../../shared/errors.ts';
import { readInput } from './file.ts';

const MAX_BYTES = 1 << 20;

/** Parsed, and known to be nothing more than JSON. @throws {KmsError} BAD_INPUT */
export async function readJson(path: string, what: string): Promise<unknown> {
  const bytes = await readInput(path, what, MAX_BYTES);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new KmsError('BAD_INPUT', `${path} is not JSON`, { cause });
  }
}

/** Undefined if value is no object or has no such field. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Object.entries(value).find(([key]) => key === name)?.[1]
    : undefined;
}

/** @throws {KmsError} BAD_INPUT */
export function textField(value: unknown, name: string, path: string): string {
  const field = fieldOf(value, name);
  if (typeof field !== 'string') throw new KmsError('BAD_INPUT', `${path} lacks the text "${name}"`);
  return field;
}

/** @throws {KmsError} BAD_INPUT */
export function listField(value: unknown, name: string, path: string): readonly unknown[] {
  const field = fieldOf(value, name);
  if (!Array.isArray(field)) throw new KmsError('BAD_INPUT', `${path} lacks the list "${name}"`);
  return field;
}
