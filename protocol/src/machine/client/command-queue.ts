// The commands a machine has decided on and its driver has not yet performed, in order.

/** Commands are told apart by `kind`. */
export interface Command {
  readonly kind: string;
}

/** First in, first out. Empty between inputs as long as the driver drains after each of them. */
export class CommandQueue<C extends Command> {
  #commands: C[] = [];
  #head = 0;

  push(command: C): void {
    this.#commands.push(command);
  }

  /** The oldest command, or undefined when all are performed. */
  next(): C | undefined {
    const command = this.#commands[this.#head];
    if (command === undefined) {
      this.#commands = [];
      this.#head = 0;
      return undefined;
    }
    this.#head += 1;
    return command;
  }

  /**
   * Drops the commands that match and were not taken yet. A driver whose write fails reports the
   * lost connection in the middle of draining: what follows must not reach the next connection.
   */
  drop(matches: (command: C) => boolean): void {
    this.#commands = this.#commands.slice(this.#head).filter((command) => !matches(command));
    this.#head = 0;
  }
}
