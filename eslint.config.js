// Lint rules. Owns the boundary that keeps the state machines free of I/O, clocks and randomness:
// time and random bytes come in as arguments, so every test can choose them.

import tseslint from 'typescript-eslint';

const PURE = ['machine', 'wire', 'token', 'limits'].map((folder) => `protocol/src/${folder}/**/*.ts`);
const PURE_MESSAGE = 'A state machine does no I/O and reads no clock: take it as an argument, or leave it to the driver.';

/** Every built-in that touches the world outside, or a clock; the others (assert, buffer, path, url, util, …) only compute. */
const IO_MODULES = [
  'async_hooks', 'child_process', 'cluster', 'console', 'crypto', 'dgram', 'diagnostics_channel', 'dns', 'domain', 'events', 'fs', 'http', 'http2', 'https',
  'inspector', 'module', 'net', 'os', 'perf_hooks', 'process', 'readline', 'repl', 'stream', 'timers', 'tls', 'tty', 'v8', 'vm', 'wasi', 'worker_threads', 'zlib',
];

/** node:dgram, dgram, node:fs/promises and so on for each name. */
const forbidModules = (names) => ({
  patterns: [
    { regex: `^(node:)?(${names.join('|')})(/.*)?$`, message: PURE_MESSAGE },
    { group: ['@matrixai/*', 'pino', 'koffi', 'yaml'], message: PURE_MESSAGE },
    { regex: '^\\.\\./(config|log|quic|udp|testing)/', message: PURE_MESSAGE },
  ],
});

const pureGlobals = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate', 'queueMicrotask', 'performance', 'fetch', 'process', 'console', 'crypto'];

export default tseslint.config(
  { ignores: ['**/dist/**', '**/dist-test/**', '**/node_modules/**', '**/.tap/**', '**/certs/dev/**', '**/coverage/**'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/only-throw-error': 'error',
      // `!` after a bounds check is how noUncheckedIndexedAccess is answered on a hot path.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Numbers in messages are welcome.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true, allowAny: false, allowNullish: false }],
      // The compiler says it too (noUnusedLocals); here an underscore marks what a signature demands.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_', caughtErrors: 'all' }],
      eqeqeq: 'error',
      'no-control-regex': 'error',
      'no-eval': 'error',
      'no-new-func': 'error',
      'prefer-const': 'error',
    },
  },
  {
    files: ['**/src/**/*.ts'],
    // Standard output belongs to data (ztna-agent connect) and to commands that print; logs go through the logger.
    rules: { 'no-console': 'error' },
  },
  {
    files: ['**/test/**/*.ts'],
    rules: {
      // An async test body tells tap when it is over, whether or not it waits for anything.
      '@typescript-eslint/require-await': 'off',
      // tap's t.test returns a promise that the parent test awaits by itself.
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: [{ from: 'package', package: '@tapjs/core', name: 'test' }, { from: 'package', package: '@tapjs/test', name: 'test' }] }],
    },
  },
  {
    files: PURE,
    rules: {
      'no-restricted-imports': ['error', forbidModules(IO_MODULES)],
      'no-restricted-globals': ['error', ...pureGlobals.map((name) => ({ name, message: PURE_MESSAGE }))],
      'no-restricted-properties': ['error',
        { object: 'Date', property: 'now', message: PURE_MESSAGE },
        { object: 'Math', property: 'random', message: PURE_MESSAGE },
        { object: 'performance', property: 'now', message: PURE_MESSAGE },
        ...pureGlobals.map((property) => ({ object: 'globalThis', property, message: PURE_MESSAGE })),
      ],
      'no-restricted-syntax': ['error',
        { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: PURE_MESSAGE },
        { selector: "CallExpression[callee.name='Date']", message: PURE_MESSAGE },
        { selector: 'ImportExpression', message: PURE_MESSAGE },
      ],
    },
  },
  {
    files: ['protocol/src/token/**/*.ts'],
    // Signatures, MACs and constant-time comparison are primitives, not I/O; randomness still comes in.
    rules: {
      'no-restricted-imports': ['error', {
        ...forbidModules(IO_MODULES.filter((name) => name !== 'crypto')),
        paths: [{ name: 'node:crypto', importNames: ['randomBytes', 'randomUUID', 'randomInt', 'randomFillSync', 'randomFill', 'webcrypto', 'getRandomValues', 'default'], message: PURE_MESSAGE }],
      }],
    },
  },
  {
    files: ['**/*.{js,mjs}'],
    languageOptions: {
      globals: Object.fromEntries(
        ['process', 'console', 'Buffer', 'URL', 'setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'setImmediate', 'AbortController', 'AbortSignal', 'fetch', 'TextDecoder', 'TextEncoder', 'performance', 'structuredClone']
          .map((name) => [name, 'readonly']),
      ),
    },
    rules: { 'no-undef': 'error', 'no-unused-vars': ['error', { argsIgnorePattern: '^_' }], eqeqeq: 'error', 'prefer-const': 'error', 'no-var': 'error' },
  },
);
