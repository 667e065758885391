import * as fs from "node:fs"
import * as path from "node:path"
// TypeScript 7 has no API for tools yet
import ts from "typescript6"
import { root } from "./run.ts"

/** A fenced block of TypeScript, as a reader would copy it. */
export interface Example {
  /** A name for its file, unique and telling: `core-Stt-make-1`. */
  readonly id: string
  /** Where it stands: `packages/core/src/Stt.ts:120 make`. */
  readonly place: string
  readonly code: string
}

/** What a module exports, with the docstring that stands in front of it. */
export interface Exported {
  readonly place: string
  /** Whether it exists at run time. */
  readonly isValue: boolean
  readonly documentation: string | undefined
}

const read = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const modules = (folder: string): ReadonlyArray<string> =>
  fs.globSync(`${folder}/**/*.ts`, { cwd: root }).filter((file) =>
    !file.endsWith("index.ts") || file.includes("testing")
  )
    .sort()

const sources = ["packages/core/src", "packages/node/src"].flatMap(modules)
const readmes = ["README.md", "packages/core/README.md"]

const fence = /^```ts\n(.*?)^```$/gms

const lineOf = (text: string, index: number): number => text.slice(0, index).split("\n").length

const unstarred = (comment: string): string =>
  comment.replace(/^\/\*\*/, "").replace(/\*\/$/, "").replaceAll(/^[ \t]*\*(?: |$)/gm, "")

/** Every example of the docstrings, also of those that are exported from elsewhere, and of the READMEs. */
export const examples = (): ReadonlyArray<Example> => {
  const found: Array<Example> = []
  for (const file of readmes) {
    const text = read(file)
    for (const [index, match] of [...text.matchAll(fence)].entries()) {
      found.push({
        id: `${file.replaceAll(/\W/g, "-")}-${index + 1}`,
        place: `${file}:${lineOf(text, match.index)}`,
        code: match[1]!
      })
    }
  }
  for (const file of sources) {
    const text = read(file)
    const seen = new Map<string, number>()
    for (const comment of text.matchAll(/^[ \t]*\/\*\*.*?\*\//gms)) {
      const after = text.slice(comment.index + comment[0].length)
      const name =
        /^\s*(?:export |static |readonly |override |declare |abstract |async |const |class |interface |type |function )*(\w+)/
          .exec(after)?.[1] ?? "module"
      for (const [, code] of unstarred(comment[0].trimStart()).matchAll(fence)) {
        const count = (seen.get(name) ?? 0) + 1
        seen.set(name, count)
        const [, unit, module] = /^packages\/(\w+)\/src\/(.*)\.ts$/.exec(file)!
        found.push({
          id: `${unit}-${module!.replaceAll("/", "-")}-${name}-${count}`,
          place: `${file}:${lineOf(text, comment.index)} ${name}`,
          code: code!
        })
      }
    }
  }
  return found
}

const isExported = (node: ts.Statement): boolean =>
  ts.canHaveModifiers(node) && ts.getModifiers(node)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) === true

const parse = (file: string, text: string): ts.SourceFile =>
  ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)

/** What stands right in front of a declaration; an overload is documented once. */
const documentation = (node: ts.Node): string | undefined => ts.getJSDocCommentsAndTags(node).at(-1)?.getFullText()

/** Every export of every public module. */
export const exported = (): ReadonlyArray<Exported> => {
  const ofModule = (file: string): ReadonlyArray<Exported & { readonly name: string }> => {
    const source = parse(file, read(file))
    const all = new Map<string, Exported & { readonly name: string }>()
    const add = (name: string, node: ts.Node, isValue: boolean) => {
      const place = `${file}:${source.getLineAndCharacterOfPosition(node.getStart()).line + 1} ${name}`
      const key = isValue ? name : `type ${name}`
      const text = documentation(node)
      if (!all.has(key) && text?.includes("@internal") !== true) {
        all.set(key, { name, place, isValue, documentation: text })
      }
    }
    for (const node of source.statements) {
      if (ts.isExportDeclaration(node) && node.exportClause !== undefined && ts.isNamedExports(node.exportClause)) {
        const from = path.join(path.dirname(file), (node.moduleSpecifier as ts.StringLiteral).text)
        const names = new Set(node.exportClause.elements.map(({ name, propertyName }) => (propertyName ?? name).text))
        for (const one of ofModule(from)) if (names.has(one.name)) all.set(`${one.isValue} ${one.name}`, one)
      } else if (isExported(node)) {
        if (ts.isVariableStatement(node)) {
          for (const { name } of node.declarationList.declarations) add(name.getText(), node, true)
        } else if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) add(node.name.text, node, false)
        else if (ts.isClassDeclaration(node) || ts.isFunctionDeclaration(node)) add(node.name!.text, node, true)
        else add(node.getText().split("\n")[0]!, node, true)
      }
    }
    return [...all.values()]
  }
  return sources.filter((file) => !file.includes("/internal/")).flatMap(ofModule)
}

/**
 * The program in which every `// => value` behind an expression has become a check of that value. Without such, nothing.
 * A promise at the top is waited for.
 */
export const checked = (example: Example): string | undefined => {
  const source = parse(`${example.id}.ts`, example.code)
  const remarks = [...example.code.matchAll(/\/\/ => (.*(?:\n\/\/ {3,}.*)*)/g)]
  if (remarks.length === 0) return undefined
  const statements: Array<ts.ExpressionStatement> = []
  const visit = (node: ts.Node): void => {
    if (ts.isExpressionStatement(node)) statements.push(node)
    ts.forEachChild(node, visit)
  }
  visit(source)
  let code = example.code
  for (const remark of remarks.toReversed()) {
    const statement = statements.find(({ end }) =>
      end <= remark.index && example.code.slice(end, remark.index).trim() === ""
    )
    if (statement === undefined) throw new Error(`${example.place}: no expression in front of // => ${remark[1]}`)
    const expected = remark[1]!.replaceAll(/\n\/\/ +/g, "\n")
    const wait = statement.parent === source ? "await " : ""
    const expression = example.code.slice(statement.getStart(), statement.end)
    code = code.slice(0, statement.getStart()) +
      `expectValue(${wait}${expression}, () => (${expected}), ${JSON.stringify(expression)})` +
      code.slice(remark.index + remark[0].length)
  }
  return code
}
