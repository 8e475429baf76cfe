// docs/threat-model.md against the tree: the tests it points at exist, with the titles it quotes. And
// no link between the documents leads nowhere.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import t from 'tap';

const ROOT = new URL('../../', import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), 'utf8');

const TITLED = /`([\w./-]+\.test\.ts)`((?: (?:"[^"]+"(?:, (?="))?)+)*)/g;
/** A title without what only its run fills in, quotes of any kind alike. */
const plain = (text: string): string => text.replace(/\$\{[^}]*\}/g, '…').replaceAll("\\'", "'");

void t.test('every test the threat model names exists, and has the titles it quotes', async (t) => {
  let files = 0;
  for (const [, file = '', quoted = ''] of read('docs/threat-model.md').matchAll(TITLED)) {
    files += 1;
    if (!t.ok(existsSync(new URL(file, ROOT)), file)) continue;
    const source = plain(read(file));
    for (const [, title = ''] of quoted.matchAll(/"([^"]+)"/g)) t.ok(source.includes(title), `${file} has "${title}"`);
  }
  t.ok(files > 40);
});

void t.test('every link between the documents leads to a file', async (t) => {
  const pages = ['docs', 'docs/adr', 'docs/wire'].flatMap((folder) =>
    readdirSync(new URL(folder, ROOT)).filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name}`));
  for (const page of pages)
    for (const [, target = ''] of read(page).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
      if (/^https?:/.test(target)) continue;
      t.ok(existsSync(new URL(target, new URL(page, ROOT))), `${page} → ${target}`);
    }
});
