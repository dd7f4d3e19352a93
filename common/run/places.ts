/** Places for work that must not be done by too many at once. */
import { AppError } from '../errors/app-error.ts';

/** So many at once, and so many who wait for a place, in the order in which they came. */
export class Places {
  readonly #most: number;
  readonly #mostWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #taken = 0;

  constructor(most: number, mostWaiting: number) {
    this.#most = most;
    this.#mostWaiting = mostWaiting;
  }

  /**
   * Does the work when there is a place for it, and settles as it does.
   *
   * @throws AppError 'rate-limited' when too many wait already
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#taken >= this.#most) {
      if (this.#waiting.length >= this.#mostWaiting) {
        throw new AppError('rate-limited', `${this.#most} are under way and ${this.#mostWaiting} wait already`);
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve)); // the place is handed on
    } else this.#taken++;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#taken--;
      else next();
    }
  }
}
