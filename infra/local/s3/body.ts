import type { ReadableFile } from './files.ts';

const STEP_BYTES = 2 ** 20;

/** Bytes from..to-1 of a file, which is closed at the end. Fails if the file is shorter. */
export async function* readSlice(file: ReadableFile, from: number, to: number): AsyncGenerator<Uint8Array> {
  try {
    for (let at = from; at < to; ) {
      const bytes = await file.read(at, Math.min(STEP_BYTES, to - at));
      if (bytes.length === 0) throw new RangeError('the file of an object was cut');
      at += bytes.length;
      yield bytes;
    }
  } finally {
    await file.close();
  }
}
