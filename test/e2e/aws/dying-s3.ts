/**
 * The S3 stand-in on a real disk, in a process that kills itself (SIGKILL) at an effect:
 * `dying-s3.ts <directory> <port> <effects before it dies>`.
 */
import { type Files, nodeFiles } from '../../../infra/local/s3/files.ts';
import { S3Server } from '../../../infra/local/s3/server.ts';
import { dyingCredential } from './dying-credential.ts';

const [directory = '', port = '', effects = ''] = process.argv.slice(2);
let left = Number.POSITIVE_INFINITY;

function live(): void {
  if (left-- <= 0) process.kill(process.pid, 'SIGKILL');
}

const files: Files = {
  ...nodeFiles,
  async writeSynced(path, chunks) {
    await nodeFiles.writeSynced(path, halfOf(chunks, left === 0));
    live();
  },
  async rename(from, to) {
    live();
    await nodeFiles.rename(from, to);
  },
  async remove(path) {
    live();
    await nodeFiles.remove(path);
  },
  async syncDirectory(path) {
    live();
    await nodeFiles.syncDirectory(path);
  },
};

async function* halfOf(chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>, half: boolean) {
  for await (const chunk of chunks) yield half ? chunk.subarray(0, chunk.length >> 1) : chunk;
}

const server = await S3Server.open({ directory, credentials: [dyingCredential], files });
left = Number(effects);
await server.listen(Number(port));
process.stdout.write('ready\n');
