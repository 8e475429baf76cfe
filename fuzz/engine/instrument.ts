// Puts a counter on every branch of a JavaScript file: function bodies, both sides of a condition, the right
// side of && || ??, loops, cases and handlers. Text is only inserted, never reprinted, and on no new line, so
// stack traces keep their lines. Where the counters live is coverage-map.ts, which files are counted instrumented-tree.ts.

import ts from 'typescript';

export interface Instrumented {
  readonly code: string;
  /** How many counters the file took, from `firstId` on. */
  readonly counters: number;
}

/** The global that instrumented code counts in. */
export const COUNTERS_GLOBAL = '__ztnaFuzzCounters';
/** Inside one file, so that a counter is one indexed load, not a look-up on the global object. */
const COUNTERS_LOCAL = '__ztnaFuzzCounted';

/** @param code plain JavaScript, a module or a script */
export const instrument = (code: string, firstId: number): Instrumented => {
  const source = ts.createSourceFile('file.js', code, ts.ScriptTarget.Latest, true, ts.ScriptKind.JS);
  const insertions: { at: number; order: number; text: string }[] = [];
  let next = firstId;
  const insert = (at: number, text: string): void => void insertions.push({ at, order: insertions.length, text });
  insert(afterDirectives(source, source), `const ${COUNTERS_LOCAL}=globalThis.${COUNTERS_GLOBAL};`);
  const count = (): string => `${COUNTERS_LOCAL}[${next++}]++`;

  const countExpression = (node: ts.Expression): void => {
    insert(node.getStart(source), `(${count()},(`);
    visit(node);
    insert(node.getEnd(), '))');
  };
  const countStatement = (node: ts.Statement): void => {
    if (ts.isBlock(node)) {
      insert(node.getStart(source) + 1, `${count()};`);
      visit(node);
      return;
    }
    insert(node.getStart(source), `{${count()};`);
    visit(node);
    insert(node.getEnd(), '}');
  };
  const visitChildren = (node: ts.Node): void => ts.forEachChild(node, visit);

  const visit = (node: ts.Node): void => {
    if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
      node.parameters.forEach(visit);
      countExpression(node.body);
    } else if (ts.isFunctionLike(node) && 'body' in node && node.body && ts.isBlock(node.body)) {
      insert(afterDirectives(node.body, source), `${count()};`);
      visitChildren(node);
    } else if (ts.isIfStatement(node)) {
      visit(node.expression);
      countStatement(node.thenStatement);
      if (node.elseStatement) countStatement(node.elseStatement);
      else insert(node.getEnd(), `else ${count()};`);
    } else if (ts.isIterationStatement(node, false)) {
      ts.forEachChild(node, (child) => (child === node.statement ? countStatement(node.statement) : visit(child)));
    } else if (ts.isConditionalExpression(node)) {
      visit(node.condition);
      countExpression(node.whenTrue);
      countExpression(node.whenFalse);
    } else if (ts.isBinaryExpression(node) && SHORT_CIRCUIT.has(node.operatorToken.kind)) {
      visit(node.left);
      countExpression(node.right);
    } else if (ts.isCaseOrDefaultClause(node)) {
      if (ts.isCaseClause(node)) visit(node.expression);
      const first = node.statements[0];
      if (first) insert(first.getStart(source), `${count()};`);
      node.statements.forEach(visit);
    } else if (ts.isCatchClause(node)) {
      insert(node.block.getStart(source) + 1, `${count()};`);
      visitChildren(node);
    } else {
      visitChildren(node);
    }
  };
  visitChildren(source);

  // Stable by position: at one place the outer insertion of a node comes before the inner one, and ends the other way round.
  insertions.sort((a, b) => a.at - b.at || a.order - b.order);
  let text = '';
  let from = 0;
  for (const insertion of insertions) {
    text += code.slice(from, insertion.at) + insertion.text;
    from = insertion.at;
  }
  return { code: text + code.slice(from), counters: next - firstId };
};

const SHORT_CIRCUIT: ReadonlySet<ts.SyntaxKind> = new Set([
  ts.SyntaxKind.AmpersandAmpersandToken, ts.SyntaxKind.BarBarToken, ts.SyntaxKind.QuestionQuestionToken,
]);

/** Where the first statement may go: behind 'use strict' and a first line of #!. */
const afterDirectives = (body: ts.Block | ts.SourceFile, source: ts.SourceFile): number => {
  let at = ts.isBlock(body) ? body.getStart(source) + 1 : (ts.getShebang(source.text)?.length ?? 0);
  for (const statement of body.statements) {
    if (!ts.isExpressionStatement(statement) || !ts.isStringLiteral(statement.expression)) break;
    at = statement.getEnd();
  }
  return at;
};
