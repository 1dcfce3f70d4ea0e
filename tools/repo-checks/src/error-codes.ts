import ts from 'typescript'

/** A code that a package throws or documents. */
export interface ErrorCode {
  readonly code: string
  /** Undefined where it depends on the cause. */
  readonly kind: string | undefined
}

/** The codes of a source: every object that has a `code` that begins with `ERR_` and a `kind`. */
export function codesThrown(text: string): ErrorCode[] {
  const found: ErrorCode[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isObjectLiteralExpression(node)) {
      const code = literal(node, 'code')
      if (code?.startsWith('ERR_') === true) found.push({ code, kind: literal(node, 'kind') })
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile('source.ts', text, ts.ScriptTarget.Latest))
  return found
}

/** The rows of the table below `## Errors`. Any text but a kind means that it depends on the cause. */
export function codesDocumented(readme: string): ErrorCode[] {
  const section = /^## Errors\n([\s\S]*?)(?=^## |(?![\s\S]))/m.exec(readme)?.[1] ?? ''
  return [...section.matchAll(/^\| `(ERR_[A-Z0-9_]+)`\s*\|\s*([^|]*?)\s*\|/gm)].map(([, code = '', kind = '']) => ({
    code,
    kind: kinds.includes(kind) ? kind : undefined,
  }))
}

const kinds = ['bad-request', 'not-found', 'forbidden', 'no-service', 'retry', 'timeout', 'not-implemented', 'internal']

function literal(object: ts.ObjectLiteralExpression, name: string): string | undefined {
  for (const property of object.properties) {
    if (!ts.isPropertyAssignment(property) || !ts.isIdentifier(property.name)) continue
    if (property.name.text === name && ts.isStringLiteral(property.initializer)) return property.initializer.text
  }
  return undefined
}
