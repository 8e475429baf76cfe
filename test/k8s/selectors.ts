// Which series a PromQL expression asks for: every selector with its label matchers, and the labels it groups by. Not a parser:
// Prometheus itself says whether an expression is one.

export interface Matcher {
  readonly label: string;
  readonly operator: '=' | '!=' | '=~' | '!~';
  readonly value: string;
}

export interface Selector {
  readonly name: string;
  readonly matchers: readonly Matcher[];
}

/** Every name with the prefix of a metric of ours, and `up`. */
export const selectorsOf = (expression: string): Selector[] =>
  [...expression.matchAll(/\b((?:ztna|process)_\w+|up)\b(?:\{([^}]*)\})?/g)].map(([, name, body = '']) => ({
    name: name!,
    matchers: [...body.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, label, operator, value]) => ({ label: label!, operator: operator as Matcher['operator'], value: value! })),
  }));

/** Labels of `by`, `on` and `without`, and of `{{label}}` in a legend. */
export const groupedBy = (expression: string): string[] => [...expression.matchAll(/\b(?:by|on|without) \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(',').map((label) => label.trim()));
export const namedInLegend = (legend: string): string[] => [...legend.matchAll(/\{\{\s*(\w+)\s*\}\}/g)].map(([, label]) => label!);
