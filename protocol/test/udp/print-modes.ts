// Prints what opening a UDP socket comes to in this process, for tests that change what it runs on.

import { openDatagramSocket, probeUdp } from '@ztna/protocol';

export const printModes = async (): Promise<void> => {
  const auto = await probeUdp('auto');
  const batched = await openDatagramSocket({ host: '127.0.0.1', port: 0 }, { mode: 'batched' }).then(
    () => 'opened',
    (error: Error) => error.message,
  );
  process.stdout.write(JSON.stringify({ auto, batched }));
};
