import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeEvidence } from './evidence.ts';
import type { Lab } from './setup.ts';

export interface MachineOptions {
  readonly lab: Lab;
  /** An enclave image's file. */
  readonly image: string;
  /** Of sockets and keys; its path is short, as socket paths have to be. */
  readonly directory: string;
  readonly memoryMb?: number;
  /** Default: what makes an emulated clock steady. */
  readonly clock?: string;
  /** Goes behind the image's command line. On a real host nobody can do that. */
  readonly append?: string;
  /** Every line that the console shows. */
  readonly onLine?: (line: string) => void;
}

/** Images take their size twice while they are unpacked; the rest is Node's. */
const MEMORY_MB = 768;
/** Code that looks for wide vectors is slower with emulated ones. */
const CPU = 'max,-avx,-avx2';
const GUEST_CID = 4;
/** Larger ones make writes of the guest hang. */
const TX_BUFFER_BYTES = 16384;
const START_MS = 10_000;
const STOP_MS = 2_000;
const FIRMWARE = ['/usr/share/qemu', '/usr/share/seabios'];
/** The first words of a kernel that begins: QEMU resets a machine where a host ends an enclave. */
const RESET = /reboot: (?:machine restart|Restarting system)|Rebooting in|reboot: System halted/;

/**
 * An enclave image under emulation: QEMU's nitro-enclave machine with a security module whose documents are signed under the
 * lab's root, and vhost-device-vsock between it and unix sockets: `vhostSocket` leads to the enclave, `<vhostSocket>_<port>` is
 * where it connects to. The machine ends when the enclave does.
 */
export class EnclaveMachine {
  readonly vhostSocket: string;
  /** What the console has shown. */
  readonly lines: string[] = [];
  /** Resolves when the machine is off. */
  readonly ended: Promise<void>;
  readonly #processes: readonly ChildProcess[];

  private constructor(
    vhostSocket: string,
    backend: ChildProcess,
    qemu: ChildProcess,
    options: MachineOptions,
  ) {
    this.vhostSocket = vhostSocket;
    this.#processes = [qemu, backend];
    this.#read(qemu, options.onLine ?? (() => {}));
    this.ended = once(qemu, 'exit').then(() => {
      backend.kill('SIGKILL');
    });
  }

  /** @throws {Error} if the emulator does not start */
  static async start(options: MachineOptions): Promise<EnclaveMachine> {
    const { lab, image, directory, memoryMb = MEMORY_MB, clock = steadyClock(), append = '' } = options;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const [vhostSocket, device] = [join(directory, 'vm.vsock'), join(directory, 'vhost.sock')];
    const evidence = join(directory, 'evidence');
    const moduleId = await writeEvidence(evidence);
    for (const path of [vhostSocket, device]) rmSync(path, { force: true });
    const terms = `guest-cid=${GUEST_CID},tx-buffer-size=${TX_BUFFER_BYTES},uds-path=${vhostSocket},socket=${device}`;
    const backend = spawn(lab.vsockBackend, ['--vm', terms], {
      stdio: 'ignore',
      env: { RUST_LOG: 'off' },
    });
    try {
      await appeared(device, backend);
    } catch (error) {
      backend.kill('SIGKILL');
      throw error;
    }
    const qemu = spawn(
      lab.qemu,
      [
        ...[
          '-M',
          `nitro-enclave,vsock=c,id=${moduleId.slice(moduleId.indexOf('-enc') + 1)}`,
          '-kernel',
          image,
        ],
        // As the smallest real enclave has.
        ...['-accel', 'tcg,thread=multi', '-cpu', CPU, '-smp', '2', '-m', `${memoryMb}M`],
        ...['-nographic', '-no-reboot'],
        ...['-chardev', `socket,id=c,path=${device}`, ...FIRMWARE.flatMap((path) => ['-L', path])],
        ...['-append', `${clock} ${append}`.trim()],
        ...['-global', `virtio-nsm-device.module-id=${moduleId}`],
        ...['-global', `virtio-nsm-device.evidence=${evidence}`],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    return new EnclaveMachine(vhostSocket, backend, qemu, options);
  }

  /** @throws {Error} if no such line was shown in time, or the machine ended before */
  async shown(pattern: RegExp, timeoutMs: number): Promise<string> {
    const deadlineMs = performance.now() + timeoutMs;
    let hasEnded = false;
    void this.ended.then(() => {
      hasEnded = true;
    });
    for (;;) {
      const found = this.lines.find((line) => pattern.test(line));
      if (found !== undefined) return found;
      if (hasEnded || performance.now() > deadlineMs) {
        const last = this.lines.slice(-20).join('\n');
        throw new Error(`the machine ${hasEnded ? 'ended' : 'did not get'} before ${pattern}:\n${last}`);
      }
      await sleep(50);
    }
  }

  async stop(): Promise<void> {
    for (const child of this.#processes) child.kill('SIGTERM');
    const timer = setTimeout(() => {
      for (const child of this.#processes) child.kill('SIGKILL');
    }, STOP_MS);
    await this.ended;
    clearTimeout(timer);
  }

  #read(qemu: ChildProcess, onLine: (line: string) => void): void {
    let rest = '';
    const take = (bytes: Buffer): void => {
      const parts = (rest + bytes.toString('latin1')).split('\n');
      rest = parts.pop() ?? '';
      for (const part of parts) {
        const line = part.replaceAll('\r', '');
        this.lines.push(line);
        onLine(line);
        if (RESET.test(line)) qemu.kill('SIGTERM');
      }
    };
    qemu.stdout?.on('data', take);
    qemu.stderr?.on('data', take);
  }
}

/**
 * An emulated processor counts the host's ticks, and nothing in the machine could measure them. A wrong rate is corrected by
 * the security module's time.
 */
function steadyClock(): string {
  const text = readFileSync('/proc/cpuinfo', 'utf8');
  const nominal = /model name.*@ ([0-9.]+)GHz/.exec(text)?.[1];
  const current = /cpu MHz\s*: ([0-9.]+)/.exec(text)?.[1];
  const khz = nominal !== undefined ? Number(nominal) * 1e6 : Number(current ?? 2000) * 1e3;
  return `tsc_early_khz=${Math.round(khz)} tsc=reliable`;
}

async function appeared(path: string, by: ChildProcess): Promise<void> {
  const deadlineMs = performance.now() + START_MS;
  while (!existsSync(path)) {
    if (by.exitCode !== null || performance.now() > deadlineMs)
      throw new Error(`${by.spawnfile} does not start`);
    await sleep(20);
  }
}
