import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';

/** An open file; its bytes stay readable when its name is gone. */
export interface ReadableFile {
  readonly sizeBytes: number;
  /** As many bytes as there are, up to length. */
  read(offset: number, length: number): Promise<Uint8Array>;
  /** No error if it is closed already. */
  close(): Promise<void>;
}

/** The effects of the server's directory, each atomic or durable by itself; tests crash between them. */
export interface Files {
  /** With its parents, mode 0700, durable. */
  makeDirectory(path: string): Promise<void>;
  /** Names in it, unsorted. */
  list(directory: string): Promise<readonly string[]>;
  /** Undefined if there is none. */
  open(path: string): Promise<ReadableFile | undefined>;
  /** A new file, mode 0600, its bytes (not its name) on the disk when the promise resolves. Fails if it exists. */
  writeSynced(path: string, chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** No error if there is none. */
  remove(path: string): Promise<void>;
  /** Names that were added or removed are so on the disk. */
  syncDirectory(path: string): Promise<void>;
}

export const nodeFiles: Files = {
  async makeDirectory(path) {
    const first = await mkdir(path, { recursive: true, mode: 0o700 });
    if (first === undefined) return;
    for (let made = path; made.length >= first.length; made = parentOf(made)) {
      await nodeFiles.syncDirectory(parentOf(made));
    }
  },

  list: (directory) => readdir(directory),

  async open(path) {
    try {
      const file = await open(path, 'r');
      const { size } = await file.stat();
      let closed: Promise<void> | undefined;
      return {
        sizeBytes: size,
        async read(offset, length) {
          const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - offset)));
          let filled = 0;
          while (filled < bytes.length) {
            const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, offset + filled);
            if (bytesRead === 0) break;
            filled += bytesRead;
          }
          return bytes.subarray(0, filled);
        },
        close() {
          closed ??= file.close();
          return closed;
        },
      };
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
  },

  async writeSynced(path, chunks) {
    await using file = await open(path, 'wx', 0o600);
    for await (const chunk of chunks) await file.writeFile(chunk);
    await file.sync();
  },

  rename,

  remove: (path) => rm(path, { force: true }),

  async syncDirectory(path) {
    await using directory = await open(path, 'r');
    await directory.sync();
  },
};

function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')));
}
