// Text from a peer, on its way to a terminal, a log line or an error message.

/**
 * Control and format characters (escape sequences, line breaks, bidirectional overrides) become U+FFFD.
 */
export const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\u{fffd}');
