// Which library a program starts over with, if any. That it does is test/allocator's.

import t from 'tap';
import { libraryToPreload, type AllocatorSurroundings } from '@ztna/protocol';

const DEBIAN = '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2';
const FEDORA = '/usr/lib64/libjemalloc.so.2';
const ARCH = '/usr/lib/libjemalloc.so.2';

const at = (installed: readonly string[], surroundings: Partial<AllocatorSurroundings> = {}): string | undefined =>
  libraryToPreload({ platform: 'linux', arch: 'x64', env: { PATH: '/usr/bin' }, hasChannel: false, exists: (path) => installed.includes(path), ...surroundings });

t.test('the library is found where distributions put it', (t) => {
  for (const path of [DEBIAN, FEDORA, ARCH]) t.equal(at([path]), path);
  t.equal(at([ARCH, DEBIAN]), DEBIAN, "the one for this processor before one that may be another's");
  const arm = '/usr/lib/aarch64-linux-gnu/libjemalloc.so.2';
  t.equal(at([arm], { arch: 'arm64' }), arm);
  t.equal(at([arm]), undefined, "another processor's");
  t.equal(at([]), undefined);
  t.end();
});

t.test('and left alone where it is not wanted, or not known to work', (t) => {
  const untouched: Record<string, Partial<AllocatorSurroundings>> = {
    'another system': { platform: 'darwin' },
    'another processor': { arch: 'riscv64' },
    'a program of our own that has started over': { env: { ZTNA_ALLOCATOR: 'jemalloc', LD_PRELOAD: DEBIAN } },
    'the same where the dynamic linker took LD_PRELOAD away': { env: { ZTNA_ALLOCATOR: 'jemalloc' } },
    'the operator said so': { env: { ZTNA_ALLOCATOR: 'system' } },
    'the operator preloads something': { env: { LD_PRELOAD: '/opt/lib/other.so' } },
    'the operator preloads nothing': { env: { LD_PRELOAD: '' } },
    'a parent with a channel': { hasChannel: true },
  };
  for (const [what, surroundings] of Object.entries(untouched)) t.equal(at([DEBIAN, FEDORA, ARCH], surroundings), undefined, what);
  t.end();
});
