/** Work that several callers may ask for at once and that is done once. Nothing is remembered of what is done. */
export class Ongoing<T> {
  readonly #ongoing = new Map<string, Promise<T>>();

  get(name: string, make: () => Promise<T>): Promise<T> {
    const known = this.#ongoing.get(name);
    if (known !== undefined) return known;
    const made = make().finally(() => this.#ongoing.delete(name));
    this.#ongoing.set(name, made);
    return made;
  }
}
