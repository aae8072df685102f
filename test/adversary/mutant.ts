import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One rule taken out of the source: the text must occur exactly once, so a test notices when it has moved. */
export interface Edit {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

const ROOT = join(import.meta.dirname, '../..');
const FOLDERS = ['shared', 'enclave', 'client', 'infra/eif', 'test/simulator'];

/**
 * A copy of the source with rules removed, from which a test imports the code under attack. So the product has no
 * switch that turns a check off, and an adversary test shows that the attack succeeds without the rule.
 */
export class Mutant {
  readonly #directory: string;

  constructor(name: string, edits: readonly Edit[]) {
    this.#directory = join(ROOT, 'out/mutants', `${name}-${process.pid}`);
    rmSync(this.#directory, { recursive: true, force: true });
    for (const folder of FOLDERS) {
      mkdirSync(join(this.#directory, folder), { recursive: true });
      cpSync(join(ROOT, folder), join(this.#directory, folder), { recursive: true });
    }
    for (const { file, find, replace } of edits) {
      const path = join(this.#directory, file);
      const source = readFileSync(path, 'utf8');
      if (source.split(find).length !== 2) throw new Error(`${file} does not hold "${find}" exactly once`);
      writeFileSync(
        path,
        source.replace(find, () => replace),
      );
    }
  }

  /** The module of the copy; its type is that of the original. */
  async import<Module>(file: string): Promise<Module> {
    return (await import(/* @vite-ignore */ join(this.#directory, file))) as Module;
  }

  [Symbol.dispose](): void {
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** Runs the attack on the real code and on the mutant. The attack returns whether it succeeded. */
export async function attackBoth(
  name: string,
  edits: readonly Edit[],
  attack: (load: <Module>(file: string) => Promise<Module>) => Promise<boolean>,
): Promise<{ readonly withRule: boolean; readonly withoutRule: boolean }> {
  const withRule = await attack(async (file) => import(/* @vite-ignore */ join(ROOT, file)));
  using mutant = new Mutant(name, edits);
  return { withRule, withoutRule: await attack((file) => mutant.import(file)) };
}
