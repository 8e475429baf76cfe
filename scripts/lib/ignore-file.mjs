// .dockerignore: what of the repository a build does not get to see. Names and `**/`; no exceptions with `!`, which ours
// does without.

/**
 * @param {string} source the file's text
 * @returns {(path: string) => boolean} whether a path, relative to the repository and with `/`, is left out
 * @throws {Error} for a pattern it does not know
 */
export const readIgnoreFile = (source) => {
  const patterns = source.split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
  const expressions = patterns.map((pattern) => {
    if (/^!|[?[\]\\]/.test(pattern)) throw new Error(`.dockerignore: ${pattern} is a pattern that is not supported`);
    const body = pattern.replace(/[.+^${}()|]/g, '\\$&').replace(/\*\*\/|\*/g, (stars) => (stars === '*' ? '[^/]*' : '(?:.*/)?'));
    return new RegExp(`^${body}(?:/|$)`);
  });
  return (path) => expressions.some((expression) => expression.test(path));
};
