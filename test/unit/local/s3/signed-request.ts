import { request as send } from 'node:http';
import {
  canonicalHeader,
  canonicalPath,
  canonicalQuery,
} from '../../../../infra/local/aws/canonical-request.ts';
import { hmacSha256, sha256Hex, signingKeyOf } from '../../../../infra/local/aws/signature-v4.ts';

export interface RawRequest {
  readonly method: string;
  /** Percent-encoded. */
  readonly path: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Of `x-amz-content-sha256`; the hash of the body if not given. */
  readonly payload?: string;
  /** Instead of body: made from the signature of the headers. */
  readonly chunks?: (signing: ChunkSigner) => string;
}

/** Signs one after the other: the next chunk, or the lines of the trailer. */
export interface ChunkSigner {
  chunk(text: string): string;
  trailer(text: string): string;
}

export interface RawAnswer {
  readonly status: number;
  /** Of an error document. */
  readonly code: string | undefined;
  readonly text: string;
}

const REGION = 'us-east-1';

/** A request that the SDK would not send, signed as it would. */
export async function signedRequest(
  endpoint: string,
  credential: { readonly accessKeyId: string; readonly secretAccessKey: string },
  raw: RawRequest,
): Promise<RawAnswer> {
  const date = new Date().toISOString().replace(/[-:]|\.\d+/g, '');
  const day = date.slice(0, 8);
  const payload = raw.payload ?? sha256Hex(raw.body ?? '');
  const { host } = new URL(endpoint);
  const headers: Record<string, string> = {
    ...{ host, 'x-amz-date': date, 'x-amz-content-sha256': payload },
    ...raw.headers,
  };
  const names = Object.keys(headers).sort();
  const lines = names.map((name) => `${name}:${canonicalHeader(headers, name)}\n`).join('');
  const address = `${canonicalPath(raw.path, 's3')}\n${canonicalQuery(raw.query ?? '')}`;
  const canonical = `${raw.method}\n${address}\n${lines}\n${names.join(';')}\n${payload}`;
  const scope = `${day}/${REGION}/s3/aws4_request`;
  const key = signingKeyOf(credential.secretAccessKey, day, REGION, 's3');
  const hex = (text: string): string => Buffer.from(hmacSha256(key, text)).toString('hex');
  const signature = hex(`AWS4-HMAC-SHA256\n${date}\n${scope}\n${sha256Hex(canonical)}`);
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${credential.accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`;
  let previous = signature;
  const next = (kind: string, hashes: string): string => {
    previous = hex(`AWS4-HMAC-SHA256-${kind}\n${date}\n${scope}\n${previous}\n${hashes}`);
    return previous;
  };
  const body =
    raw.chunks?.({
      chunk: (text) => next('PAYLOAD', `${sha256Hex('')}\n${sha256Hex(text)}`),
      trailer: (text) => next('TRAILER', sha256Hex(text)),
    }) ?? raw.body;
  return new Promise((resolve, reject) => {
    const path = raw.query === undefined ? raw.path : `${raw.path}?${raw.query}`;
    const sent = send(endpoint, { method: raw.method, path, headers, agent: false }, async (answer) => {
      let text = '';
      for await (const chunk of answer) text += chunk;
      resolve({ status: answer.statusCode ?? 0, code: /<Code>(.*?)<\/Code>/.exec(text)?.[1], text });
    });
    sent.on('error', reject);
    if (body !== undefined && headers['transfer-encoding'] === undefined) {
      sent.setHeader('content-length', Buffer.byteLength(body));
    }
    sent.end(body);
  });
}
