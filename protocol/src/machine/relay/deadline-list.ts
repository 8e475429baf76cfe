// Deadlines of one kind, all the same time ahead, therefore due in the order they were set (when that time
// is made shorter, a new one waits for those before it): a linked
// list gives O(1) set, cancel and earliest, with nothing left behind by a cancelled one.

interface Node<Item> {
  readonly item: Item;
  readonly deadline: number;
  previous: Node<Item> | undefined;
  next: Node<Item> | undefined;
}

export class DeadlineList<Item> {
  readonly #timeoutMs: () => number;
  readonly #nodes = new Map<Item, Node<Item>>();
  #first: Node<Item> | undefined;
  #last: Node<Item> | undefined;

  /** @param timeoutMs the same for every item; read when one is set */
  constructor(timeoutMs: () => number) {
    this.#timeoutMs = timeoutMs;
  }

  get size(): number {
    return this.#nodes.size;
  }

  /** The earliest deadline, in the caller's milliseconds. */
  get earliest(): number | undefined {
    return this.#first?.deadline;
  }

  /** An item has one deadline: cancel it before setting it again. */
  set(item: Item, now: number): void {
    const node: Node<Item> = { item, deadline: Math.max(now + this.#timeoutMs(), this.#last?.deadline ?? -Infinity), previous: this.#last, next: undefined };
    if (this.#last === undefined) this.#first = node;
    else this.#last.next = node;
    this.#last = node;
    this.#nodes.set(item, node);
  }

  /** Without effect on an item that has no deadline. */
  cancel(item: Item): void {
    const node = this.#nodes.get(item);
    if (node === undefined) return;
    this.#nodes.delete(item);
    if (node.previous === undefined) this.#first = node.next;
    else node.previous.next = node.next;
    if (node.next === undefined) this.#last = node.previous;
    else node.next.previous = node.previous;
  }

  /** Takes out one item that is due; call until undefined. */
  takeDue(now: number): Item | undefined {
    const node = this.#first;
    if (node === undefined || node.deadline > now) return undefined;
    this.cancel(node.item);
    return node.item;
  }
}
