// What the private app shows: plain text for curl, a page for a browser. It claims only what a backend sees, which
// is a TCP connection from its connector; who stands behind it, the connector and the relay have verified.

/** Names on the way in. */
export interface WayIn {
  readonly agent: string;
  readonly relay: string;
  readonly connector: string;
  readonly service: string;
}

export interface Visit {
  /** From 1. */
  readonly number: number;
  readonly time: Date;
  /** The request line. */
  readonly request: string;
  readonly host: string;
  readonly userAgent: string;
  /** The other end of the app's TCP connection. */
  readonly peer: string;
  /** Where the app listens. */
  readonly listening: string;
  readonly pid: number;
  readonly started: Date;
  readonly path: WayIn;
}

/** A client that dialed the app itself names the app's own port in its Host header (RFC 9110 §7.2). */
const isDirect = (visit: Visit): boolean => visit.host === visit.listening;

const headline = (visit: Visit): string =>
  isDirect(visit) ? 'You dialed this app directly.' : `Hello from a private app. You came in through the overlay.`;

const explanation = (visit: Visit): string => {
  const { agent, connector, service } = visit.path;
  if (isDirect(visit)) return `That works on this very machine only, as the app listens on loopback. Everybody else needs the service "${service}".`;
  return `You asked for ${visit.host}. This app listens on ${visit.listening}, on loopback, and saw a connection from its connector. Relay and connector both let in nobody but "${agent}", and "${connector}" alone chose where the service "${service}" leads.`;
};

const facts = (visit: Visit): readonly (readonly [label: string, value: string])[] => [
  ['you asked for', `${visit.host}, with "${visit.request}"`],
  ['you use', visit.userAgent],
  ['the app saw', `a TCP connection from ${visit.peer}${isDirect(visit) ? '' : `: its connector, not you`}`],
  ['the app is', `pid ${visit.pid} on ${visit.listening}, up since ${clock(visit.started)}`],
  ['visit', `number ${visit.number} at ${clock(visit.time)}`],
];

const steps = ({ path, peer, listening, host }: Visit): readonly (readonly [who: string, what: string])[] => [
  ['your program', `dials ${host}`],
  [`agent "${path.agent}"`, 'takes the bytes into QUIC, encrypted for the connector'],
  [`relay "${path.relay}"`, 'checks who may reach what, forwards ciphertext'],
  [`connector "${path.connector}"`, `checks the agent's certificate, decrypts, dials from ${peer}`],
  ['this app', `answers on ${listening}`],
];

const clock = (date: Date): string => date.toTimeString().slice(0, 8);

export const renderText = (visit: Visit): string => {
  const width = Math.max(...facts(visit).map(([label]) => label.length));
  const lines = facts(visit).map(([label, value]) => `  ${label.padEnd(width)}  ${value}`);
  const who = Math.max(...steps(visit).map(([name]) => name.length));
  const way = isDirect(visit) ? [] : ['', ...steps(visit).map(([name, what], index) => `  ${index === 0 ? ' ' : '↳'} ${name.padEnd(who)}  ${what}`)];
  return [headline(visit), '', ...lines, ...way, ''].join('\n');
};

export const renderHtml = (visit: Visit): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A private app</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<p class="badge ${isDirect(visit) ? 'direct' : 'overlay'}">${isDirect(visit) ? 'direct' : 'through the overlay'}</p>
<h1>${escapeHtml(headline(visit))}</h1>
<p>${escapeHtml(explanation(visit))}</p>
${isDirect(visit) ? '' : `<ol>${steps(visit).map(([who, what]) => `<li><strong>${escapeHtml(who)}</strong> ${escapeHtml(what)}</li>`).join('')}</ol>`}
<dl>${facts(visit).map(([label, value]) => `<div><dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd></div>`).join('')}</dl>
</main>
</body>
</html>
`;

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => ENTITIES[character]!);

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --accent: #0a7d55; }
body { margin: 0; font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 44rem; margin: 8vh auto; padding: 0 1.25rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: .75rem 0; }
.badge { display: inline-block; margin: 0; padding: .15rem .7rem; border-radius: 1rem; font-size: .85rem; color: #fff; background: var(--accent); }
.badge.direct { background: #b4540a; }
ol { list-style: none; margin: 1.75rem 0; padding: 0 0 0 1.1rem; border-left: 3px solid var(--accent); }
li { margin: .6rem 0; }
dl { border-top: 1px solid var(--line); font-size: .92rem; }
dl div { display: flex; gap: 1rem; padding: .45rem 0; border-bottom: 1px solid var(--line); }
dt { flex: 0 0 8rem; opacity: .65; }
dd { margin: 0; overflow-wrap: anywhere; }
`;
