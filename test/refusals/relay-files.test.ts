// What `intermediate-server check` finds in files that a relay would read or write: the same that `run` refuses or leaves alone.

import { execFileSync } from 'node:child_process';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { Lab } from '../harness/lab.js';

const lab = Lab.create(t);
lab.enrol('agent', 'alice');
const config = lab.writeRelay([{ allow: ['alice'], services: ['web'] }]);
const configured = parse(lab.read('relay-1.yaml')) as object;

const relay = async (command: 'check' | 'run'): Promise<{ code: number | NodeJS.Signals; lines: string }> => {
  const process = lab.run(lab.relayProgram, [command, '-c', config]);
  return { code: await process.exited, lines: process.log };
};

void t.test('a journal that would be written over another file of the relay is refused', async (t) => {
  const keyring = lab.read('keyring.yaml');
  lab.write('relay-1.yaml', stringify({ ...configured, journal: 'keyring.yaml' }));
  for (const command of ['check', 'run'] as const) {
    const { code, lines } = await relay(command);
    t.equal(code, 2);
    t.match(lines, /journal: .*keyring\.yaml is read as something else/);
  }
  t.equal(lab.read('keyring.yaml'), keyring);
  lab.write('relay-1.yaml', stringify(configured));
});

void t.test('a file in the place of the journal that is none is a warning', (t) => {
  lab.write('relay-1.yaml', stringify({ ...configured, journal: 'notes.txt' }));
  lab.write('notes.txt', 'of somebody');
  const said = execFileSync(process.execPath, [lab.relayProgram, 'check', '-c', config], { cwd: lab.directory, encoding: 'utf8' });
  t.match(said, /: valid;[^]*warning: .*notes\.txt is no relay journal and is left alone/);
  lab.write('relay-1.yaml', stringify(configured));
  t.end();
});

void t.test('a CA bundle that is cut off in its second certificate is refused, by name', async (t) => {
  const ca = lab.read('ca.crt');
  lab.write('ca.crt', ca + ca.slice(0, ca.length / 2));
  for (const command of ['check', 'run'] as const) {
    const { code, lines } = await relay(command);
    t.equal(code, 2);
    t.match(lines, /ca\.crt holds a PEM block that is cut off or damaged/);
  }
  lab.write('ca.crt', ca);
});
