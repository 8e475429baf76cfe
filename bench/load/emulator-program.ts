// The emulated link as a process of its own. Says its port; ends with its standard input.

import { Emulator, type EmulatorInit } from './emulator.js';
import { answerRequests, report, settings } from './requests.js';

const emulator = await Emulator.open(settings<EmulatorInit>());
answerRequests(() => ({ ...emulator.stats }));
report({ ready: true, port: emulator.local.port });
