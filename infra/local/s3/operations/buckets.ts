import type { BucketExchange, Exchange, Reply } from '../exchange.ts';
import { verifyBody } from '../integrity.ts';
import { checkBucketName } from '../names.ts';
import { childText, malformed, parseXml, writeXml } from '../xml.ts';

/** The region in the body, if any, is not looked at: a server has one. */
export async function createBucket(exchange: Exchange): Promise<Reply> {
  const { bucket } = exchange.call;
  checkBucketName(bucket);
  verifyBody(exchange);
  if (exchange.body.length > 0 && parseXml(exchange.body).name !== 'CreateBucketConfiguration') {
    throw malformed();
  }
  await exchange.store.create(bucket, exchange.caller.account, exchange.nowMs);
  return { status: 200, headers: { location: `/${bucket}` } };
}

export async function headBucket(): Promise<Reply> {
  return { status: 200 };
}

export async function putBucketVersioning(exchange: BucketExchange): Promise<Reply> {
  verifyBody(exchange);
  const root = parseXml(exchange.body);
  const status = childText(root, 'Status');
  if (root.name !== 'VersioningConfiguration' || (status !== 'Enabled' && status !== 'Suspended')) {
    throw malformed();
  }
  await exchange.store.setVersioning(exchange.bucket.name, status);
  return { status: 200 };
}

export async function getBucketVersioning(exchange: BucketExchange): Promise<Reply> {
  const { versioning } = exchange.bucket.settings;
  const body = writeXml('VersioningConfiguration', [
    ['Status', versioning === 'off' ? undefined : versioning],
  ]);
  return { status: 200, body };
}
