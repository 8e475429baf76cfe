// Text made fit for a message: free text from an error or from a peer, cut to a bound.
// Owns the cut; bounds are the schemas'.

/**
 * The first `maxLength` UTF-16 code units of `text`, as text that encodes and decodes to itself: a surrogate
 * pair is never split, an unpaired surrogate becomes U+FFFD, and leading byte order marks go.
 * Use it on every `reason` and `about` that did not start as a literal.
 */
export const clipText = (text: string, maxLength: number): string => {
  const marked = text.slice(0, maxLength + 1).replace(/^\ufeff+/, '');
  const cut = marked.slice(0, maxLength);
  const splitsPair = /[\ud800-\udbff]$/.test(cut) && /^[\udc00-\udfff]/.test(marked.slice(cut.length));
  return (splitsPair ? cut.slice(0, -1) : cut).replace(/\p{Surrogate}/gu, '\ufffd');
};
