import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { measure } from '../../infra/eif/pcr.ts';
import { imageFiles } from '../../infra/image/build.ts';
import { equalBytes } from '../../shared/wire/bytes.ts';
import { Machines } from './machines.ts';
import { builtImage, withoutNode, withScript, written } from './variants.ts';

const machines = new Machines();
const { directory } = machines;
const image = builtImage('lab');
const quick = written(directory, 'quick', withoutNode(image));
const BOOT_MS = 120_000;

afterAll(() => machines[Symbol.asyncDispose]());

/** Ends by itself, after these words and never with a shell or the node. */
async function refuses(words: RegExp, options: Parameters<Machines['start']>[1]): Promise<void> {
  const machine = await machines.start(quick, options);
  await machine.shown(words, BOOT_MS);
  await machine.ended;
  expect(machine.lines.join('\n')).not.toMatch(/the node starts/);
}

describe('image: what init refuses', () => {
  it('init: without a parent that answers the heartbeat the enclave ends', async () => {
    await refuses(/no heartbeat from the parent; its context is: 2/, { parent: false });
  });

  it.each(['99', '1', '0', '4294967295', '99999999999', '2x', ''])(
    'init: a lying parent context, %j, ends the enclave',
    async (cid) => {
      // The image's own command line names the parent: this is what a lying host would have measured instead.
      const lying = { ...withoutNode(image), cmdline: cmdlineWith(cid) };
      const machine = await machines.start(written(directory, 'lying', lying));
      await machine.shown(/init: (?:no heartbeat|enclave.parent_cid names|no number|too large)/, BOOT_MS);
      await machine.ended;
      expect(equalBytes(measure(lying).pcr1, measure(image).pcr1)).toBe(false);
    },
  );

  it('init: a clock that is not the hypervisor’s ends the enclave', async () => {
    await refuses(/the clock source has to be kvm-clock or tsc, not: \S+/, { clock: 'tsc=unstable' });
  });

  it('init: without a security module the enclave ends', async () => {
    const [kernel, initrd] = [join(directory, 'bzImage'), join(directory, 'initrd')];
    writeFileSync(kernel, image.kernel);
    writeFileSync(initrd, Buffer.concat([...withoutNode(image).ramdisks]));
    const qemu = spawn(
      machines.lab.qemu,
      [
        ...[
          '-M',
          'microvm',
          '-cpu',
          'max',
          '-m',
          '512M',
          '-nographic',
          '-no-reboot',
          '-L',
          '/usr/share/qemu',
        ],
        ...['-L', '/usr/share/seabios', '-kernel', kernel, '-initrd', initrd],
        ...['-append', `${Buffer.from(image.cmdline)} tsc_early_khz=2000000 tsc=reliable`],
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const timer = setTimeout(() => qemu.kill('SIGKILL'), BOOT_MS);
    let shown = '';
    qemu.stdout.on('data', (bytes) => {
      shown += String(bytes);
      if (/Restarting system/.test(shown)) qemu.kill('SIGTERM');
    });
    await once(qemu, 'exit');
    clearTimeout(timer);
    expect(shown).toMatch(/init: there is no security module/);
    expect(shown).toMatch(/Restarting system/);
    expect(shown).not.toMatch(/the node starts/);
  });
});

describe('image: what the node is in', () => {
  it('confinement: an ordinary user without capabilities in a read-only root', async () => {
    const script = [
      'const fs=require("fs"),say=(k,v)=>console.log("PROBE "+k+" "+JSON.stringify(v))',
      'const attempt=(f)=>{try{f();return "done"}catch(e){return e.code}}',
      'const status=fs.readFileSync("/proc/self/status","utf8")',
      'say("ids",[process.getuid(),process.geteuid(),process.getgid(),process.getgroups()])',
      'say("caps",[...status.matchAll(/^(?:Cap\\w+|NoNewPrivs):\\s*(\\w+)/gm)].map((m)=>m[0].replace(/\\s+/g,"")))',
      'say("limits",fs.readFileSync("/proc/self/limits","utf8").match(/Max core file size\\s+(\\S+)/)[1])',
      'say("dev",fs.readdirSync("/dev").sort())',
      'say("root",fs.readdirSync("/").sort())',
      'say("bin",fs.readdirSync("/usr/bin"))',
      'say("write",["/x","/app/x","/dev/x","/run/x","/proc/sys/kernel/hostname"].map((p)=>attempt(()=>fs.writeFileSync(p,"x"))))',
      'say("chmod",attempt(()=>{fs.writeFileSync("/run/y","#!/usr/bin/node",{mode:0o755});require("child_process").execFileSync("/run/y")}))',
      'say("others",fs.readdirSync("/proc").filter((n)=>/^\\d+$/.test(n)).length)',
      'say("init",attempt(()=>fs.readFileSync("/proc/1/environ")))',
      'say("setuid",attempt(()=>process.setuid(0)))',
      'say("end",0)',
      'setInterval(()=>{},1000)',
    ].join(';');
    const machine = await machines.start(written(directory, 'probe', withScript(image, script)));
    await machine.shown(/PROBE end/, BOOT_MS);
    const probes = new Map(
      machine.lines.flatMap((line) => {
        const found = /PROBE (\w+) (.*)$/.exec(line);
        return found === null ? [] : [[found[1], JSON.parse(found[2] ?? '')] as const];
      }),
    );
    await machine.stop();
    expect(probes.get('ids')).toEqual([1000, 1000, 1000, [1000]]);
    expect(probes.get('caps')).toEqual([
      ...['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => `${name}:0000000000000000`),
      'NoNewPrivs:1',
    ]);
    expect(probes.get('limits')).toBe('0');
    expect(probes.get('dev')).toEqual(['nsm', 'null', 'random', 'urandom']);
    expect(probes.get('root')).toEqual(['app', 'dev', 'lib', 'lib64', 'proc', 'run', 'usr']);
    expect(probes.get('bin')).toEqual(['node']);
    expect(probes.get('write')).toEqual(['EROFS', 'EROFS', 'EROFS', 'done', 'EROFS']);
    expect(probes.get('chmod')).toBe('EACCES');
    expect(probes.get('others')).toBe(1);
    expect(probes.get('init')).toBe('ENOENT');
    expect(probes.get('setuid')).toBe('EPERM');
  });

  it('init: when the node ends, the enclave ends; there is no shell', async () => {
    const machine = await machines.start(
      written(directory, 'ends', withScript(image, 'console.log("bye");process.exit(7)')),
    );
    await machine.shown(/a process ended; its status is: 1792/, BOOT_MS);
    await machine.ended;
    const text = machine.lines.join('\n');
    expect(text).toMatch(/bye.*the node ended.*Restarting system/s);
  });

  it('init: a node that is killed for its memory ends the enclave', async () => {
    // Touches one byte of each page: the kernel has to give it.
    const script =
      'const a=[];for(;;){const b=Buffer.alloc(32<<20);for(let i=0;i<b.length;i+=4096)b[i]=1;a.push(b)}';
    const machine = await machines.start(written(directory, 'oom', withScript(image, script)), {
      memoryMb: 512,
    });
    await machine.shown(/Out of memory: Killed process|its status is: (?:9|134)/, BOOT_MS);
    await machine.ended;
    expect(machine.lines.join('\n')).toMatch(/the node ended/);
  });

  it('image: with too little memory to unpack it the machine ends', async () => {
    const machine = await machines.start(imageFiles('lab').eif, { memoryMb: 256 });
    const timer = setTimeout(() => void machine.stop(), BOOT_MS);
    await machine.ended;
    clearTimeout(timer);
    expect(machine.lines.join('\n')).not.toMatch(/node-open/);
  });
});

describe('image: tampered files', () => {
  it('image: a flipped bit is refused by the machine, or measured', async () => {
    const bytes = new Uint8Array(readFileSync(quick));
    const middle = bytes.length >> 1;
    bytes[middle] = (bytes[middle] ?? 0) ^ 1;
    const path = join(directory, 'flipped.eif');
    writeFileSync(path, bytes);
    const machine = await machines.start(path);
    await machine.ended;
    expect(machine.lines.join('\n')).toMatch(/CRC/i);
  });
});

function cmdlineWith(cid: string): Uint8Array {
  const own = Buffer.from(image.cmdline).toString();
  return Buffer.from(own.replace(/enclave\.parent_cid=\d+/, `enclave.parent_cid=${cid}`));
}
