// Loads koffi, through which Node calls the C library that it is itself linked with. Optional: whoever wants it goes on without.

/** What is used of koffi. Its own types are absent where optional dependencies are left out. */
export interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: readonly string[]): (...args: unknown[]) => unknown };
  errno(): number;
  address(buffer: Uint8Array): bigint;
  readonly node: { poll(fd: number, callback: (status: number) => void): PollHandle };
}

export interface PollHandle {
  start(callback: (status: number) => void): void;
  close(): void;
}

export type LoadedKoffi = { readonly ok: true; readonly koffi: Koffi } | { readonly ok: false; readonly reason: string };

/** Not a literal, so that the compiler does not look for an optional package. */
const KOFFI: string = 'koffi';

const SUPPORTED_ARCHITECTURES: readonly string[] = ['x64', 'arm64'];

/** Says why when it cannot. */
export const loadKoffi = async (): Promise<LoadedKoffi> => {
  if (process.platform !== 'linux') return { ok: false, reason: `only on Linux, and this is ${process.platform}` };
  if (!SUPPORTED_ARCHITECTURES.includes(process.arch)) return { ok: false, reason: `not for ${process.arch} processors` };
  try {
    const module = (await import(KOFFI)) as { default: Koffi };
    return { ok: true, koffi: module.default };
  } catch (error) {
    // The first line: Node appends the stack of requires.
    return { ok: false, reason: `the optional package koffi does not load: ${/.*/.exec((error as Error).message)![0]}` };
  }
};
