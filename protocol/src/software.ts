// What this side calls itself in `hello` and `helloAck`: for people who read the other side's logs.

export const VERSION = '0.1.0';
export const SOFTWARE = `ztna/${VERSION}`;
