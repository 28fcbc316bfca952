/** Tells whoever wants to know. */
export class Signal<T = void> {
  #listeners = new Set<(value: T) => void>();

  /** Calls `listener` from now on; returns how to end that. */
  subscribe(listener: (value: T) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  emit(value: T): void {
    for (const listener of [...this.#listeners]) listener(value);
  }
}
