/** Counts connections by address, half-open ones apart, and says which have to be closed for others. */

/** How many there may be. */
export interface TableLimits {
  connections: number;
  connectionsPerAddress: number;
  halfOpen: number;
  halfOpenPerAddress: number;
}

/** The connections of a listener: half-open until their handshake is done, then open, until they leave. */
export class ConnectionTable<Connection> {
  readonly #limits: TableLimits;
  readonly #halfOpen = new Group<Connection>();
  readonly #open = new Group<Connection>();

  constructor(limits: TableLimits) {
    this.#limits = limits;
  }

  /**
   * Counts a new connection as half-open. Returns those to close: itself, where its address has all its places; else the oldest
   * half-open ones of its address, or of the address with most. An honest handshake takes a moment, and is not the oldest for long.
   */
  arrive(connection: Connection, key: string): Connection[] {
    if (this.#open.count(key) >= this.#limits.connectionsPerAddress) return [connection];
    this.#halfOpen.add(connection, key);
    if (this.#halfOpen.count(key) > this.#limits.halfOpenPerAddress) return this.#halfOpen.oldest(key);
    return this.#halfOpen.size > this.#limits.halfOpen ? this.#halfOpen.oldest(this.#halfOpen.greatest()) : [];
  }

  /**
   * Counts a half-open connection as open. Returns those to close: itself, where its address has all its places; where all places
   * of the listener are taken, the oldest of the address with most, or itself when no address has more than its own.
   */
  open(connection: Connection, key: string): Connection[] {
    this.#halfOpen.delete(connection);
    if (this.#open.count(key) >= this.#limits.connectionsPerAddress) return [connection];
    if (this.#open.size >= this.#limits.connections) {
      const greatest = this.#open.greatest();
      if (this.#open.count(greatest) <= this.#open.count(key) + 1) return [connection];
      this.#open.add(connection, key);
      return this.#open.oldest(greatest);
    }
    this.#open.add(connection, key);
    return [];
  }

  /** Forgets a connection; one that is not there is no fault. */
  leave(connection: Connection): void {
    this.#halfOpen.delete(connection);
    this.#open.delete(connection);
  }

  /** How many there are. */
  get counts(): { halfOpen: number; open: number } {
    return { halfOpen: this.#halfOpen.size, open: this.#open.size };
  }
}

/** Members by key, in the order in which they came. */
class Group<Member> {
  readonly #keys = new Map<Member, string>();
  readonly #members = new Map<string, Set<Member>>();

  get size(): number {
    return this.#keys.size;
  }

  add(member: Member, key: string): void {
    this.#keys.set(member, key);
    const members = this.#members.get(key) ?? new Set();
    members.add(member);
    this.#members.set(key, members);
  }

  delete(member: Member): void {
    const key = this.#keys.get(member);
    if (key === undefined) return;
    this.#keys.delete(member);
    const members = this.#members.get(key);
    members?.delete(member);
    if (members?.size === 0) this.#members.delete(key);
  }

  count(key: string): number {
    return this.#members.get(key)?.size ?? 0;
  }

  /** The oldest member of a key, in a list; an empty one where there is none. */
  oldest(key: string): Member[] {
    const [first] = this.#members.get(key) ?? [];
    return first === undefined ? [] : [first];
  }

  /** The key with most members. */
  greatest(): string {
    let [greatest, most] = ['', 0];
    for (const [key, { size }] of this.#members) if (size > most) [greatest, most] = [key, size];
    return greatest;
  }
}
