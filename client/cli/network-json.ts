import { KmsError } from '../../shared/errors.ts';
import { digest } from '../../shared/ids.ts';
import { type ChainAccess, checkHostChains, type Finality } from '../../shared/network/chain-access.ts';
import type { Member } from '../../shared/network/configuration.ts';
import type { Measurement } from '../../shared/network/measurement.ts';
import type { RpcSet } from '../../shared/network/rpc.ts';
import { checkStorage, type Storage } from '../../shared/network/storage.ts';
import { fromHex } from '../../shared/wire/bytes.ts';
import { fieldOf, listField, readJson, textField } from './json-file.ts';

/** Parts of genesis and configurations that operators write down as JSON. */

/**
 * `{"k": 2, "endpoints": [{"url": "https://...", "spkiPins": ["<sha256>"]}]}`.
 * @throws {KmsError} BAD_INPUT
 */
export async function readRpcSet(path: string): Promise<RpcSet> {
  return rpcSetOf(await readJson(path, 'an RPC set'), path);
}

function rpcSetOf(value: unknown, path: string): RpcSet {
  const k = fieldOf(value, 'k');
  if (typeof k !== 'number') throw new KmsError('BAD_INPUT', `${path} lacks the number "k"`);
  const endpoints = listField(value, 'endpoints', path).map((one) => ({
    url: textField(one, 'url', path),
    spkiPins: listField(one, 'spkiPins', path).map((pin) => digest(String(pin))),
  }));
  return { k, endpoints };
}

/**
 * `[{"chainId": "11155111", "finality": "finalized", "maxHeadAgeS": 1200, "rpc": {"k": 2, "endpoints": [...]}}]`; finality may be
 * a number of confirmations. @throws {KmsError} BAD_INPUT
 */
export async function readHostChains(path: string): Promise<readonly ChainAccess[]> {
  const value = await readJson(path, 'a list of host chains');
  if (!Array.isArray(value)) throw new KmsError('BAD_INPUT', `${path} is a list of host chains`);
  const hosts = value.map((one: unknown) => ({
    chainId: chainIdOf(one, path),
    finality: finalityOf(one, path),
    maxHeadAgeS: numberField(one, 'maxHeadAgeS', path),
    rpc: rpcSetOf(fieldOf(one, 'rpc'), path),
  }));
  checkHostChains(hosts);
  return hosts;
}

function chainIdOf(value: unknown, path: string): bigint {
  const text = textField(value, 'chainId', path);
  if (!/^[1-9][0-9]{0,14}$/.test(text))
    throw new KmsError('BAD_INPUT', `"chainId" in ${path} is a number as text`);
  return BigInt(text);
}

function finalityOf(value: unknown, path: string): Finality {
  if (fieldOf(value, 'finality') === 'finalized') return { kind: 'finalized' };
  return { kind: 'depth', blocks: numberField(value, 'finality', path) };
}

/** An integer of 32 bits. */
function numberField(value: unknown, name: string, path: string): number {
  const field = fieldOf(value, name);
  if (typeof field !== 'number' || !Number.isInteger(field) || field < 0 || field >= 2 ** 32) {
    throw new KmsError('BAD_INPUT', `${path} lacks the number "${name}"`);
  }
  return field;
}

/**
 * `{"PCR0": "<hex>", "PCR1": ..., "PCR2": ..., "PCR8": ...}` or the same below "Measurements", as nitro-cli prints it.
 * PCR8 belongs to it only if the image is signed.
 * @throws {KmsError} BAD_INPUT
 */
export async function readMeasurement(path: string): Promise<Measurement> {
  const value = await readJson(path, 'a measurement');
  const registers = fieldOf(value, 'Measurements') ?? value;
  const pcr = (name: string): Uint8Array => {
    const text = textField(registers, name, path).toLowerCase();
    if (!/^[0-9a-f]{96}$/.test(text)) throw new KmsError('BAD_INPUT', `${name} in ${path} is 96 hex digits`);
    return fromHex(text);
  };
  const always = { pcr0: pcr('PCR0'), pcr1: pcr('PCR1'), pcr2: pcr('PCR2') };
  return fieldOf(registers, 'PCR8') === undefined ? always : { ...always, pcr8: pcr('PCR8') };
}

/** `[{"identity": "<hex>", "bootKey": "<hex>", "address": "host:port", "storage": {...}}, ...]` by party. @throws {KmsError} BAD_INPUT */
export async function readMembers(path: string): Promise<readonly Omit<Member, 'party'>[]> {
  const value = await readJson(path, 'a list of members');
  if (!Array.isArray(value)) throw new KmsError('BAD_INPUT', `${path} is a list of members`);
  return value.map((one: unknown) => ({
    identity: keyField(one, 'identity', path),
    bootKey: keyField(one, 'bootKey', path),
    address: textField(one, 'address', path),
    storage: storageOf(fieldOf(one, 'storage'), path),
  }));
}

/** `[{"kmsKey": "<ARN>", "role": "<ARN>", "bucket": "<name>"}, ...]` by party. @throws {KmsError} BAD_INPUT */
export async function readStorage(path: string): Promise<readonly Storage[]> {
  const value = await readJson(path, 'a list of storage places');
  if (!Array.isArray(value)) throw new KmsError('BAD_INPUT', `${path} is a list of storage places`);
  return value.map((one: unknown) => storageOf(one, path));
}

function storageOf(value: unknown, path: string): Storage {
  const storage = {
    kmsKey: textField(value, 'kmsKey', path),
    role: textField(value, 'role', path),
    bucket: textField(value, 'bucket', path),
  };
  checkStorage(storage);
  return storage;
}

function keyField(value: unknown, name: string, path: string): Uint8Array {
  const text = textField(value, name, path);
  if (!/^[0-9a-f]{64}$/.test(text)) throw new KmsError('BAD_INPUT', `"${name}" in ${path} is 64 hex digits`);
  return fromHex(text);
}
