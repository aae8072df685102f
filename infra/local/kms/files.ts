import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';

/** The effects of the store of keys, each atomic or durable by itself; tests crash between them. */
export interface Files {
  /** With its parents, mode 0700. */
  makeDirectory(path: string): Promise<void>;
  /** File names, unsorted. */
  list(directory: string): Promise<readonly string[]>;
  /** Undefined if there is none. Fails above maxBytes. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** A new file, mode 0600, its bytes on the disk when the promise resolves. Fails if it exists. */
  writeSynced(path: string, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** No error if there is none. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}

export const nodeFiles: Files = {
  async makeDirectory(path) {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },

  list: (directory) => readdir(directory),

  async read(path, maxBytes) {
    try {
      await using file = await open(path, 'r');
      const { size } = await file.stat();
      if (size > maxBytes) throw new RangeError('file is too large');
      return new Uint8Array(await file.readFile());
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  },

  async writeSynced(path, bytes) {
    await using file = await open(path, 'wx', 0o600);
    await file.writeFile(bytes);
    await file.sync();
  },

  rename,

  remove: (path) => rm(path, { force: true }),

  async syncDirectory(path) {
    await using directory = await open(path, 'r');
    await directory.sync();
  },
};
